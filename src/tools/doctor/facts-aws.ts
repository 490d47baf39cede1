import { z } from "zod";
import { AwsCallError, awsFailures } from "../../aws/failure.ts";
import type { Attributes, SesReader, SnsReader, SqsReader, Subscription } from "../../aws/reader.ts";
import { parseArn, queueOf } from "../../domain/arn.ts";
import { jsonOrNull } from "../../domain/json.ts";
import type { Patient } from "./patient.ts";
import { type AwsFailureFact, answered } from "./reading.ts";
import { nameOf } from "./wording.ts";

export type AwsFact =
  | AwsFailureFact
  | TopicFact
  | { kind: "subscriptions"; topicArn: string; ours: number; others: Subscription[] }
  | SubscriptionFact
  | { kind: "ses-account"; region: string; isSending: boolean; isInSandbox: boolean; enforcement: string }
  | { kind: "global-endpoint"; name: string; regions: string[]; unheard: string[] }
  | ConfigurationSetsFact
  | DestinationFact
  | { kind: "configuration-set"; name: string; isSending: boolean }
  | SqsQueueFact
  | { kind: "missing-sqs-queue"; arn: string; region: string }
  | { kind: "dead-letters"; queueArn: string; arn: string; count: number };

type TopicFact = {
  kind: "topic";
  arn: string;
  /** JSON text; empty when there is none. */
  policy: string;
  signatureVersion: string;
  /** The key that encrypts it; null when it is not encrypted. */
  kmsKey: string | null;
  /** The one that has to be allowed to publish; null for any. */
  configurationSet: string | null;
};

/** A subscription that leads to Fanmail. */
type SubscriptionFact = {
  kind: "subscription";
  topicArn: string;
  protocol: string;
  endpoint: string;
  snsRawTokens: readonly string[];
  /** null while it waits for its confirmation. */
  confirmed: { arn: string; isRaw: boolean; hasFilter: boolean; hasDeadLetterQueue: boolean } | null;
};

type ConfigurationSetsFact = {
  kind: "configuration-sets";
  region: string;
  /** The only one that was read; null for all. */
  configurationSet: string | null;
  read: number;
  total: number;
  /** How many event destinations publish to topics that are allow-listed. */
  destinations: number;
  /** Whether something came from one of the topics lately. */
  isHeard: boolean;
};

/** An event destination that publishes to a topic. */
type DestinationFact = {
  kind: "destination";
  configurationSet: string;
  name: string;
  isEnabled: boolean;
  eventTypes: string[];
  topicArn: string;
};

type SqsQueueFact = {
  kind: "sqs-queue";
  url: string;
  arn: string;
  /** Those that are allow-listed; at least one of them should send to the queue. */
  topicArns: readonly string[];
  /** Messages that wait, and that were received and not yet deleted. SQS counts them roughly. */
  waiting: number;
  inFlight: number;
  retentionSeconds: number;
  visibilitySeconds: number;
  /** JSON text; empty when there is none. */
  policy: string;
  deadLetters: { arn: string; maxReceives: number } | null;
};

/** A topic as AWS has it, and its subscriptions that lead to Fanmail. */
export async function topicFacts(sns: SnsReader, arn: string, patient: Patient): Promise<AwsFact[]> {
  const subject = `the topic ${nameOf(arn)}`;
  const topic = await answered("topics", subject, async (): Promise<AwsFact[]> => {
    const attributes = await sns.topicAttributes(arn);
    return [
      {
        kind: "topic",
        arn,
        policy: attributes["Policy"] ?? "",
        signatureVersion: attributes["SignatureVersion"] ?? "1",
        kmsKey: attributes["KmsMasterKeyId"] || null,
        configurationSet: patient.configurationSet,
      },
    ];
  });
  // A topic that may not be read may still have subscriptions; one that does not exist has none.
  const isLost = topic.some(
    (fact) => fact.kind === "aws-failure" && awsFailures[fact.failure].read.level === "fail",
  );
  return isLost ? topic : [...topic, ...(await subscriptionFacts(sns, arn, patient))];
}

function subscriptionFacts(sns: SnsReader, arn: string, { config }: Patient): Promise<AwsFact[]> {
  return answered("topics", `the subscriptions of ${nameOf(arn)}`, async () => {
    const all = await sns.subscriptions(arn);
    const queues = config.sqsQueueUrls.map((url) => queueOf(url, config.awsRegion).arn);
    const ours = all.filter((one) => isIngest(one) || queues.includes(one.endpoint));
    const { snsRawTokens } = config;
    const details = await Promise.all(
      ours.map(async (one): Promise<AwsFact> => {
        const { protocol, endpoint } = one;
        const confirmed = await confirmedFacts(sns, one);
        return { kind: "subscription", topicArn: arn, protocol, endpoint, snsRawTokens, confirmed };
      }),
    );
    return [{ kind: "subscriptions", topicArn: arn, ours: ours.length, others: all }, ...details];
  });
}

function isIngest({ protocol, endpoint }: Subscription): boolean {
  return /^https?$/.test(protocol) && /\/ingest\/sns(\/|\?|$)/.test(endpoint);
}

async function confirmedFacts(sns: SnsReader, { arn }: Subscription): Promise<SubscriptionFact["confirmed"]> {
  const attributes = arn === null ? null : await sns.subscriptionAttributes(arn);
  if (arn === null || attributes === null || attributes["PendingConfirmation"] === "true") return null;
  const filter = attributes["FilterPolicy"] ?? "";
  return {
    arn,
    isRaw: attributes["RawMessageDelivery"] === "true",
    hasFilter: filter !== "" && filter !== "{}",
    hasDeadLetterQueue: Boolean(attributes["RedrivePolicy"]),
  };
}

/** Whether the account may send, in a region. */
export function accountFacts(ses: SesReader, region: string): Promise<AwsFact[]> {
  return answered("ses", `the SES account in ${region}`, async () => {
    const account = await ses.account();
    return [
      {
        kind: "ses-account",
        region,
        isSending: account.SendingEnabled ?? true,
        isInSandbox: account.ProductionAccessEnabled === false,
        enforcement: account.EnforcementStatus ?? "",
      },
    ];
  });
}

/** @property asked the regions whose SES is asked; those in `heard` have a topic or SQS queue that is allow-listed. */
export type Reach = { region: string; asked: readonly string[]; heard: ReadonlySet<string> };

/** The global endpoints that send, or will soon send, from a region. Each region has its own topics. */
export async function globalEndpointFacts(
  ses: SesReader,
  { region, asked, heard }: Reach,
): Promise<AwsFact[]> {
  const facts = await answered("ses", `global endpoints in ${region}`, async () => {
    const endpoints = await ses.globalEndpoints();
    return endpoints
      .filter(({ Status }) => Status === "READY" || Status === "CREATING")
      .map(({ EndpointName: name = "", Regions = [] }): AwsFact => {
        const unheard = Regions.filter((one) => !heard.has(one));
        return { kind: "global-endpoint", name, regions: [...Regions], unheard };
      });
  });
  return facts.filter((fact) => {
    // A region may be without global endpoints.
    if (fact.kind === "aws-failure") return !["missing", "not-in-region"].includes(fact.failure);
    // An endpoint is listed in each of its regions; the first region that is asked reports it.
    return (
      fact.kind !== "global-endpoint" ||
      (asked.find((one) => fact.regions.includes(one)) ?? region) === region
    );
  });
}

export type PublishersQuestion = Pick<ConfigurationSetsFact, "region" | "configurationSet" | "isHeard"> & {
  /** Those that are allow-listed in the region. */
  topicArns: readonly string[];
};

/** The event destinations that publish to topics of Fanmail. */
export function publisherFacts(
  ses: SesReader,
  { topicArns, ...question }: PublishersQuestion,
  signal: AbortSignal,
): Promise<AwsFact[]> {
  const { region, configurationSet } = question;
  const subject =
    configurationSet === null ? "configuration sets" : `the configuration set ${configurationSet}`;
  return answered("ses", `${subject} in ${region}`, async () => {
    const { destinations, read, total } = await readDestinations(ses, configurationSet, signal);
    const ours = destinations.filter(({ topicArn }) => topicArns.includes(topicArn));
    const sets = await Promise.all(ours.map((one) => configurationSetFacts(ses, one.configurationSet)));
    return [
      { kind: "configuration-sets", ...question, read, total, destinations: ours.length },
      ...ours.flatMap((one, index): AwsFact[] => [one, ...(sets[index] ?? [])]),
    ];
  });
}

/** Reads one configuration set after the other, because SES answers few such calls in a second, until `signal` aborts. */
async function readDestinations(ses: SesReader, only: string | null, signal: AbortSignal) {
  const names = only === null ? await ses.configurationSets() : [only];
  const destinations: DestinationFact[] = [];
  let read = 0;
  for (const name of names) {
    if (signal.aborted) break;
    const found = await untilAborted(topicDestinations(ses, name), signal);
    if (found === null) break;
    destinations.push(...found);
    read += 1;
  }
  return { destinations, read, total: names.length };
}

async function untilAborted<Answer>(reading: Promise<Answer>, signal: AbortSignal): Promise<Answer | null> {
  try {
    return await reading;
  } catch (error) {
    if (signal.aborted && error instanceof AwsCallError) return null;
    throw error;
  }
}

async function topicDestinations(ses: SesReader, configurationSet: string): Promise<DestinationFact[]> {
  const destinations = await ses.eventDestinations(configurationSet);
  return destinations.flatMap(({ Name = "", Enabled = false, MatchingEventTypes = [], SnsDestination }) => {
    const topicArn = SnsDestination?.TopicArn;
    const eventTypes = [...MatchingEventTypes];
    if (!topicArn) return [];
    return [{ kind: "destination", configurationSet, name: Name, isEnabled: Enabled, eventTypes, topicArn }];
  });
}

function configurationSetFacts(ses: SesReader, name: string): Promise<AwsFact[]> {
  return answered("ses", `the configuration set ${name}`, async () => [
    { kind: "configuration-set", name, isSending: await ses.isSending(name) },
  ]);
}

export type SqsQuestion = Pick<SqsQueueFact, "url" | "arn" | "topicArns"> & { region: string };

/** An SQS queue that Fanmail reads notifications from. */
export async function sqsQueueFacts(sqs: SqsReader, { region, ...queue }: SqsQuestion): Promise<AwsFact[]> {
  const facts = await answered("sqs", `the queue ${nameOf(queue.arn)}`, async () => {
    const fact = {
      kind: "sqs-queue",
      ...queue,
      ...settingsIn(await sqs.queueAttributes(queue.url)),
    } as const;
    return fact.deadLetters === null
      ? [fact]
      : [fact, ...(await deadLetterFacts(sqs, queue.arn, fact.deadLetters.arn))];
  });
  const [first] = facts;
  const isMissing = first?.kind === "aws-failure" && first.failure === "missing";
  return isMissing ? [{ kind: "missing-sqs-queue", arn: queue.arn, region }] : facts;
}

const Redrive = z.object({ deadLetterTargetArn: z.string(), maxReceiveCount: z.coerce.number() });

function settingsIn(attributes: Attributes) {
  const numberOf = (name: string) => Number(attributes[name] ?? 0);
  const redrive = Redrive.safeParse(jsonOrNull(attributes["RedrivePolicy"] ?? "")).data;
  return {
    waiting: numberOf("ApproximateNumberOfMessages"),
    inFlight: numberOf("ApproximateNumberOfMessagesNotVisible"),
    retentionSeconds: numberOf("MessageRetentionPeriod"),
    visibilitySeconds: numberOf("VisibilityTimeout"),
    policy: attributes["Policy"] ?? "",
    deadLetters: redrive ? { arn: redrive.deadLetterTargetArn, maxReceives: redrive.maxReceiveCount } : null,
  };
}

function deadLetterFacts(sqs: SqsReader, queueArn: string, arn: string): Promise<AwsFact[]> {
  return answered("sqs", `the dead-letter queue ${nameOf(arn)}`, async () => {
    const { account, resource } = parseArn(arn);
    const { waiting } = settingsIn(await sqs.queueAttributes(await sqs.queueUrl(resource, account)));
    return [{ kind: "dead-letters", queueArn, arn, count: waiting }];
  });
}
