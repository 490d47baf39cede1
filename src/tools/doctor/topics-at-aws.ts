import type { Reader, Subscription } from "../../aws/reader.ts";
import type { Config } from "../../config.ts";
import { parseArn, queueOf, sesArn } from "../../domain/arn.ts";
import { awsTrouble } from "./aws-trouble.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { type SubscriptionFacts, subscriptionFacts, type TopicFacts, topicFacts } from "./facts-aws.ts";
import { covers, judgePolicy } from "./policy.ts";
import { topicName } from "./topics.ts";

type Settings = Pick<Config, "snsRawTokens" | "sqsQueueUrls" | "awsRegion">;

/** A topic as AWS has it: whether SES may publish to it, and whether it leads to us. */
export async function lookAtTopicInAws(
  sns: Reader,
  arn: string,
  settings: Settings & { configurationSet: string | null },
): Promise<Observation[]> {
  let topic: TopicFacts;
  try {
    topic = topicFacts(await sns.topicAttributes(arn));
  } catch (error) {
    const seen = awsTrouble(`the topic ${topicName(arn)}`, error);
    // Without the topic there is nothing to subscribe to.
    if (seen.status === "fail") return [seen];
    return [seen, ...(await lookAtRoads(sns, arn, settings))];
  }
  const found = [
    ...kind(arn),
    ...publishing(arn, topic, settings.configurationSet),
    ...encryption(arn, topic),
    ...(await lookAtRoads(sns, arn, settings)),
  ];
  const summary = `The topic ${topicName(arn)} is there; it signs with SignatureVersion ${topic.signatureVersion}.`;
  return [ok(summary), ...found];
}

function kind(arn: string): Observation[] {
  if (!arn.endsWith(".fifo")) return [];
  return [
    fail(
      `The topic ${topicName(arn)} is a FIFO topic, to which SES does not publish.`,
      "Use a standard topic.",
    ),
  ];
}

/** SES names the configuration set as its source. */
function publishing(arn: string, { policy }: TopicFacts, configurationSet: string | null): Observation[] {
  const { account } = parseArn(arn);
  const source = sesArn(parseArn(arn));
  const permission = judgePolicy(policy, {
    service: "ses.amazonaws.com",
    action: "sns:Publish",
    resource: arn,
    account,
    isSource: (pattern) =>
      configurationSet === null
        ? covers(headOf(pattern), source)
        : covers(pattern, `${source}configuration-set/${configurationSet}`),
  });
  if (permission === "allowed") return [];
  const remedy = `Let fanmail ses connect add the statement, or allow Service ses.amazonaws.com the action sns:Publish on it with aws:SourceAccount ${account}.`;
  if (permission === "denied") {
    const whose = configurationSet === null ? "SES" : `SES with the configuration set ${configurationSet}`;
    return [fail(`The policy of the topic ${topicName(arn)} does not let ${whose} publish to it.`, remedy)];
  }
  return [
    warn(
      `Whether the policy of the topic ${topicName(arn)} lets SES publish depends on conditions that only AWS can judge.`,
      remedy,
    ),
  ];
}

/** The part of a pattern that stands for partition, service, region and account. */
function headOf(pattern: string): string {
  if (/^[*?]+$/.test(pattern)) return pattern;
  return `${pattern.split(":").slice(0, 5).join(":")}:`;
}

function encryption(arn: string, { kmsKey }: TopicFacts): Observation[] {
  if (kmsKey === null) return [];
  const remedy =
    "Encrypt it with a key of your own whose policy lets ses.amazonaws.com use kms:GenerateDataKey* and kms:Decrypt, or do not encrypt it.";
  if (/alias\/aws\/sns$/.test(kmsKey)) {
    return [
      fail(
        `The topic ${topicName(arn)} is encrypted with alias/aws/sns, a key that SES may not use.`,
        remedy,
      ),
    ];
  }
  return [
    warn(
      `The topic ${topicName(arn)} is encrypted; doctor does not see whether SES may use its key.`,
      remedy,
    ),
  ];
}

/** Subscriptions that lead to Fanmail. */
async function lookAtRoads(sns: Reader, arn: string, settings: Settings): Promise<Observation[]> {
  try {
    const all = await sns.subscriptions(arn);
    const queues = queueArns(settings);
    const ours = all.filter((one) => isIngest(one) || queues.includes(one.endpoint));
    if (ours.length === 0) return [noRoad(arn, all)];
    const seen = await Promise.all(ours.map((one) => lookAtRoad(sns, arn, one, settings)));
    return seen.flat();
  } catch (error) {
    return [awsTrouble(`the subscriptions of ${topicName(arn)}`, error)];
  }
}

function queueArns({ sqsQueueUrls, awsRegion }: Settings): string[] {
  return sqsQueueUrls.map((url) => queueOf(url, awsRegion).arn);
}

function isIngest({ protocol, endpoint }: Subscription): boolean {
  return /^https?$/.test(protocol) && /\/ingest\/sns(\/|\?|$)/.test(endpoint);
}

function noRoad(arn: string, all: readonly Subscription[]): Observation {
  const others =
    all.length === 0 ? "it has none" : `its subscriptions lead elsewhere: ${all.map(roadName).join(", ")}`;
  return fail(
    `No subscription of the topic ${topicName(arn)} leads to Fanmail; ${others}.`,
    `Run npx fanmail ses connect, or aws sns subscribe --topic-arn ${arn} --protocol https --notification-endpoint https://<host>/ingest/sns.`,
  );
}

/** Where it leads, without what may be secret in a path, or an address. */
function roadName({ protocol, endpoint }: Subscription): string {
  if (URL.canParse(endpoint) && /^https?$/.test(protocol)) return `${protocol} ${new URL(endpoint).host}`;
  return endpoint.startsWith("arn:") ? `${protocol} ${endpoint.split(":").at(-1)}` : protocol;
}

async function lookAtRoad(
  sns: Reader,
  topic: string,
  road: Subscription,
  settings: Settings,
): Promise<Observation[]> {
  const subject = `The subscription of ${roadName(road)} to ${topicName(topic)}`;
  if (road.arn === null) return [pending(subject, topic)];
  const details = subscriptionFacts(await sns.subscriptionAttributes(road.arn));
  if (details.isPending) return [pending(subject, topic)];
  const found = [
    ...raw(subject, road, road.arn, details, settings),
    ...filter(subject, road.arn, details),
    ...deadLetters(subject, road.arn, details),
  ];
  return [ok(`${subject} is confirmed.`), ...found];
}

function pending(subject: string, topic: string): Observation {
  return fail(
    `${subject} waits for its confirmation (PendingConfirmation).`,
    `Fanmail confirms by itself: start it, allow-list the topic (npx fanmail topics add ${topic}), let SNS reach it from the internet, then run aws sns subscribe once more with the same endpoint.`,
  );
}

function raw(
  subject: string,
  { protocol, endpoint }: Subscription,
  arn: string,
  { isRaw }: SubscriptionFacts,
  { snsRawTokens }: Settings,
): Observation[] {
  if (!isRaw) return [];
  const turnOff = `aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name RawMessageDelivery --attribute-value false`;
  if (protocol === "sqs") {
    return [
      warn(
        `${subject} has raw message delivery on: messages carry no signature, and the queue's policy alone is trusted.`,
        `Turn it off: ${turnOff}.`,
      ),
    ];
  }
  if (snsRawTokens.some((token) => endpoint.includes(`/ingest/sns/raw/${token}`))) return [];
  const why =
    snsRawTokens.length === 0
      ? "SNS_RAW_TOKEN is not set"
      : "its address does not hold the SNS_RAW_TOKEN of here";
  return [
    fail(
      `${subject} has raw message delivery on, and ${why}: what it posts is refused with 403.`,
      `Turn it off: ${turnOff}. Or set SNS_RAW_TOKEN and subscribe https://<host>/ingest/sns/raw/<token>.`,
    ),
  ];
}

function filter(subject: string, arn: string, { hasFilter }: SubscriptionFacts): Observation[] {
  if (!hasFilter) return [];
  return [
    warn(
      `${subject} has a filter policy, so that some events never come.`,
      `Take it away: aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name FilterPolicy --attribute-value '{}'.`,
    ),
  ];
}

function deadLetters(subject: string, arn: string, { hasDeadLetterQueue }: SubscriptionFacts): Observation[] {
  if (hasDeadLetterQueue) return [];
  return [
    warn(
      `${subject} has no dead-letter queue: what SNS cannot deliver is lost.`,
      `Give it one: aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name RedrivePolicy --attribute-value '{"deadLetterTargetArn":"<ARN of a queue>"}'.`,
    ),
  ];
}
