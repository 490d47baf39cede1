import { arnHead, arnName, configurationSetArn, parseArn, sesArn } from "../../../domain/arn.ts";
import { isSilent, silentSeconds } from "../../../domain/topic-silence.ts";
import { parseUrl } from "../../../domain/url.ts";
import { covers, judgePolicy, type Permission } from "../policy.ts";
import { ended, excerpt, nameOf, spanText } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type StoredTopicFact = FactOf<"stored-topic">;

const subscribe = (arn: string) =>
  `aws sns subscribe --topic-arn ${arn} --protocol https --notification-endpoint https://<host>/ingest/sns`;

/** For how long nothing has come from a topic; null when nothing ever has. */
function silence(topic: StoredTopicFact) {
  const seconds = silentSeconds(topic, topic.now);
  return seconds === null ? null : { arn: topic.arn, seconds };
}

const storedRules = [
  rule("stored-topics", {
    code: "topics-none-yet",
    area: "topics",
    level: "ok",
    when: ({ count }) => count === 0,
    say: "No topic is allow-listed in the database yet.",
  }),
  rule("stored-topic", {
    code: "topic-never-asked",
    area: "topics",
    level: "warn",
    // An SQS queue needs no confirmation, nor does a topic that already delivers.
    when: (fact) => fact.subscription_state === "unknown" && fact.last_notification_at === null && fact,
    say: ({ arn }) =>
      `The topic ${nameOf(arn)} has not asked for a confirmation, and nothing has come from it.`,
    remedy: ({ arn }) => `Subscribe Fanmail: npx fanmail ses connect, or ${subscribe(arn)}.`,
  }),
  rule("stored-topic", {
    code: "topic-unconfirmed",
    area: "topics",
    level: "fail",
    when: (fact) => fact.subscription_state === "confirmation_failed" && fact,
    say: ({ arn, subscription_error }) =>
      `The subscription to ${nameOf(arn)} could not be confirmed: ${ended(excerpt(subscription_error ?? "no reason was kept"))}`,
    remedy: ({ arn }) =>
      `Let this machine reach the SNS of the region over https, then request the confirmation again: ${subscribe(arn)}.`,
  }),
  rule("stored-topic", {
    code: "topic-unsubscribed",
    area: "topics",
    level: "fail",
    when: (fact) => fact.subscription_state === "unsubscribed" && fact,
    say: ({ arn }) => `Fanmail was unsubscribed from the topic ${nameOf(arn)}.`,
    remedy: ({ arn }) => `Subscribe it again: ${subscribe(arn)}.`,
  }),
  rule("stored-topic", {
    code: "topic-never-heard",
    area: "topics",
    level: "warn",
    // Before the subscription is confirmed nothing can come.
    when: (fact) => silence(fact) === null && fact.subscription_state === "confirmed" && fact,
    say: ({ arn }) => `The topic ${nameOf(arn)} is subscribed, and nothing has ever come from it.`,
    remedy:
      "Send an email with the configuration set that publishes to it (X-SES-CONFIGURATION-SET), for example to success@simulator.amazonses.com.",
  }),
  rule("stored-topic", {
    code: "topic-heard",
    area: "topics",
    level: "ok",
    when: (fact) => !isSilent(fact, fact.now) && silence(fact),
    say: ({ arn, seconds }) => `The topic ${nameOf(arn)} was last heard ${spanText(seconds)} ago.`,
  }),
  rule("stored-topic", {
    code: "topic-silent",
    area: "topics",
    level: "warn",
    when: (fact) => isSilent(fact, fact.now) && silence(fact),
    say: ({ arn, seconds }) =>
      `The topic ${nameOf(arn)} is silent: the last notification came ${spanText(seconds)} ago, which is longer than usual.`,
    remedy:
      "Check whether you still send with its configuration set, and what the other checks of ses and topics report.",
  }),
];

type TopicFact = FactOf<"topic">;

/** Whether SES may publish to a topic. SES names the configuration set as its source. */
function mayPublish({ arn, policy, configurationSet }: TopicFact): Permission {
  const place = parseArn(arn);
  return judgePolicy(policy, {
    service: "ses.amazonaws.com",
    action: "sns:Publish",
    resource: arn,
    account: place.account,
    isSource: (pattern) =>
      configurationSet === null
        ? covers(headOf(pattern), sesArn(place))
        : covers(pattern, configurationSetArn(place, configurationSet)),
  });
}

/** The part of a pattern that matches partition, service, region and account. */
function headOf(pattern: string): string {
  return /^[*?]+$/.test(pattern) ? pattern : arnHead(pattern);
}

const publishRemedy = ({ arn }: TopicFact) =>
  `Let fanmail ses connect add the statement, or allow Service ses.amazonaws.com the action sns:Publish on it with aws:SourceAccount ${parseArn(arn).account}.`;

const hasKeyOfAws = ({ kmsKey }: TopicFact) => /alias\/aws\/sns$/.test(kmsKey ?? "");
const encryptionRemedy =
  "Encrypt it with a key of your own whose policy lets ses.amazonaws.com use kms:GenerateDataKey* and kms:Decrypt, or do not encrypt it.";

const topicInAwsRules = [
  rule("topic", {
    code: "topic-in-aws",
    area: "topics",
    level: "ok",
    when: (fact) => fact,
    say: ({ arn, signatureVersion }) =>
      `The topic ${nameOf(arn)} is there; it signs with SignatureVersion ${signatureVersion}.`,
  }),
  rule("topic", {
    code: "topic-fifo",
    area: "topics",
    level: "fail",
    when: (fact) => fact.arn.endsWith(".fifo") && fact,
    say: ({ arn }) => `The topic ${nameOf(arn)} is a FIFO topic; SES does not publish to those.`,
    remedy: "Use a standard topic.",
  }),
  rule("topic", {
    code: "topic-policy-denies",
    area: "topics",
    level: "fail",
    when: (fact) => mayPublish(fact) === "denied" && fact,
    say: ({ arn, configurationSet }) =>
      `The policy of the topic ${nameOf(arn)} does not let ${configurationSet === null ? "SES" : `SES with the configuration set ${configurationSet}`} publish to it.`,
    remedy: publishRemedy,
  }),
  rule("topic", {
    code: "topic-policy-unsure",
    area: "topics",
    level: "warn",
    when: (fact) => mayPublish(fact) === "unsure" && fact,
    say: ({ arn }) =>
      `Whether the policy of the topic ${nameOf(arn)} lets SES publish depends on conditions that only AWS can judge.`,
    remedy: publishRemedy,
  }),
  rule("topic", {
    code: "topic-encrypted-by-aws",
    area: "topics",
    level: "fail",
    when: (fact) => hasKeyOfAws(fact) && fact,
    say: ({ arn }) => `The topic ${nameOf(arn)} is encrypted with alias/aws/sns, a key that SES may not use.`,
    remedy: encryptionRemedy,
  }),
  rule("topic", {
    code: "topic-encrypted",
    area: "topics",
    level: "warn",
    when: (fact) => fact.kmsKey !== null && !hasKeyOfAws(fact) && fact,
    say: ({ arn }) => `The topic ${nameOf(arn)} is encrypted; doctor cannot see whether SES may use its key.`,
    remedy: encryptionRemedy,
  }),
];

type SubscriptionFact = FactOf<"subscription">;

/** Where it leads, without email addresses and paths, which may be secret. */
function wayOf({ protocol, endpoint }: Pick<SubscriptionFact, "protocol" | "endpoint">): string {
  const url = /^https?$/.test(protocol) ? parseUrl(endpoint) : null;
  if (url !== null) return `${protocol} ${url.host}`;
  return endpoint.startsWith("arn:") ? `${protocol} ${arnName(endpoint)}` : protocol;
}

function subjectOf(fact: SubscriptionFact): string {
  return `The subscription of ${wayOf(fact)} to ${nameOf(fact.topicArn)}`;
}

/** Its name and ARN if it is confirmed and `has` holds. */
function confirmedThat(
  fact: SubscriptionFact,
  has: (confirmed: NonNullable<SubscriptionFact["confirmed"]>) => boolean,
): { subject: string; arn: string } | false {
  const { confirmed } = fact;
  return confirmed !== null && has(confirmed) && { subject: subjectOf(fact), arn: confirmed.arn };
}

/** Raw messages are accepted at an address that contains a token. */
const hasToken = ({ endpoint, snsRawTokens }: SubscriptionFact) =>
  snsRawTokens.some((token) => endpoint.includes(`/ingest/sns/raw/${token}`));

const setAttribute = (arn: string, name: string) =>
  `aws sns set-subscription-attributes --subscription-arn ${arn} --attribute-name ${name} --attribute-value`;

const subscriptionRules = [
  rule("subscriptions", {
    code: "subscription-none",
    area: "topics",
    level: "fail",
    when: (fact) => fact.ours === 0 && fact,
    say: ({ topicArn, others }) =>
      `No subscription of the topic ${nameOf(topicArn)} leads to Fanmail; ${others.length === 0 ? "it has none" : `its subscriptions lead elsewhere: ${others.map(wayOf).join(", ")}`}.`,
    remedy: ({ topicArn }) => `Run npx fanmail ses connect, or ${subscribe(topicArn)}.`,
  }),
  rule("subscription", {
    code: "subscription-pending",
    area: "topics",
    level: "fail",
    when: (fact) => fact.confirmed === null && fact,
    say: (fact) => `${subjectOf(fact)} waits for its confirmation (PendingConfirmation).`,
    remedy: ({ topicArn }) =>
      `Fanmail confirms by itself: start it, allow-list the topic (npx fanmail topics add ${topicArn}), let SNS reach it from the internet, then run aws sns subscribe once more with the same endpoint.`,
  }),
  rule("subscription", {
    code: "subscription-confirmed",
    area: "topics",
    level: "ok",
    when: (fact) => confirmedThat(fact, () => true),
    say: ({ subject }) => `${subject} is confirmed.`,
  }),
  rule("subscription", {
    code: "subscription-raw-queue",
    area: "topics",
    level: "warn",
    when: (fact) => confirmedThat(fact, ({ isRaw }) => isRaw && fact.protocol === "sqs"),
    say: ({ subject }) =>
      `${subject} has raw message delivery on: messages carry no signature, and only the queue's policy is trusted.`,
    remedy: ({ arn }) => `Turn it off: ${setAttribute(arn, "RawMessageDelivery")} false.`,
  }),
  rule("subscription", {
    code: "subscription-raw",
    area: "topics",
    level: "fail",
    when(fact) {
      const found = confirmedThat(fact, ({ isRaw }) => isRaw && fact.protocol !== "sqs" && !hasToken(fact));
      return found && { ...found, hasTokens: fact.snsRawTokens.length > 0 };
    },
    say: ({ subject, hasTokens }) =>
      `${subject} has raw message delivery on, and ${hasTokens ? "its address does not contain the SNS_RAW_TOKEN of this service" : "SNS_RAW_TOKEN is not set"}: what it posts is refused with 403.`,
    remedy: ({ arn }) =>
      `Turn it off: ${setAttribute(arn, "RawMessageDelivery")} false. Or set SNS_RAW_TOKEN and subscribe https://<host>/ingest/sns/raw/<token>.`,
  }),
  rule("subscription", {
    code: "subscription-filter",
    area: "topics",
    level: "warn",
    when: (fact) => confirmedThat(fact, ({ hasFilter }) => hasFilter),
    say: ({ subject }) => `${subject} has a filter policy, so some events never arrive.`,
    remedy: ({ arn }) => `Remove it: ${setAttribute(arn, "FilterPolicy")} '{}'.`,
  }),
  rule("subscription", {
    code: "subscription-dead-letters",
    area: "topics",
    level: "warn",
    when: (fact) => confirmedThat(fact, ({ hasDeadLetterQueue }) => !hasDeadLetterQueue),
    say: ({ subject }) => `${subject} has no dead-letter queue: what SNS cannot deliver is lost.`,
    remedy: ({ arn }) =>
      `Give it one: ${setAttribute(arn, "RedrivePolicy")} '{"deadLetterTargetArn":"<ARN of a queue>"}'.`,
  }),
];

export const topicRules = [...storedRules, ...topicInAwsRules, ...subscriptionRules];
