import { z } from "zod";
import { AwsCallError } from "../../aws/failure.ts";
import type { Attributes, SesReader, SqsReader } from "../../aws/reader.ts";
import { parseArn } from "../../domain/arn.ts";
import { jsonOrNull } from "../../domain/json.ts";

export type TopicFacts = {
  /** JSON text; empty when there is none. */
  policy: string;
  signatureVersion: string;
  /** The key that encrypts it; null when it is not encrypted. */
  kmsKey: string | null;
};

export function topicFacts(attributes: Attributes): TopicFacts {
  return {
    policy: attributes["Policy"] ?? "",
    signatureVersion: attributes["SignatureVersion"] ?? "1",
    kmsKey: attributes["KmsMasterKeyId"] || null,
  };
}

export type SubscriptionFacts = {
  isPending: boolean;
  isRaw: boolean;
  hasFilter: boolean;
  hasDeadLetterQueue: boolean;
};

export function subscriptionFacts(attributes: Attributes): SubscriptionFacts {
  const filter = attributes["FilterPolicy"] ?? "";
  return {
    isPending: attributes["PendingConfirmation"] === "true",
    isRaw: attributes["RawMessageDelivery"] === "true",
    hasFilter: filter !== "" && filter !== "{}",
    hasDeadLetterQueue: Boolean(attributes["RedrivePolicy"]),
  };
}

export type SqsQueueFacts = {
  /** Messages that wait, and that were received and are not yet deleted. SQS counts them roughly. */
  waiting: number;
  inFlight: number;
  retentionSeconds: number;
  visibilitySeconds: number;
  /** JSON text; empty when there is none. */
  policy: string;
  deadLetters: { arn: string; maxReceives: number } | null;
};

const Redrive = z.object({
  deadLetterTargetArn: z.string(),
  maxReceiveCount: z.coerce.number(),
});

export function sqsQueueFacts(attributes: Attributes): SqsQueueFacts {
  const numberOf = (name: string) => Number(attributes[name] ?? 0);
  const redrive = Redrive.safeParse(jsonOrNull(attributes["RedrivePolicy"] ?? ""));
  return {
    waiting: numberOf("ApproximateNumberOfMessages"),
    inFlight: numberOf("ApproximateNumberOfMessagesNotVisible"),
    retentionSeconds: numberOf("MessageRetentionPeriod"),
    visibilitySeconds: numberOf("VisibilityTimeout"),
    policy: attributes["Policy"] ?? "",
    deadLetters: redrive.success
      ? { arn: redrive.data.deadLetterTargetArn, maxReceives: redrive.data.maxReceiveCount }
      : null,
  };
}

/** How many messages a queue holds. @throws AwsCallError */
export async function countMessages(sqs: SqsReader, arn: string): Promise<number> {
  const { account, resource } = parseArn(arn);
  return sqsQueueFacts(await sqs.queueAttributes(await sqs.queueUrl(resource, account))).waiting;
}

/** An event destination that publishes to a topic. */
export type DestinationFacts = {
  configurationSet: string;
  name: string;
  isEnabled: boolean;
  eventTypes: string[];
  topicArn: string;
};

/** @property looked how many of the `total` configuration sets were read in time. */
export type DestinationsFacts = { destinations: DestinationFacts[]; looked: number; total: number };

/**
 * Reads configuration sets one after the other, because SES answers few such calls in a second. What has been read when
 * `signal` aborts is the answer.
 * @param only the one to read; null for all.
 * @throws AwsCallError
 */
export async function readDestinations(
  ses: SesReader,
  only: string | null,
  signal: AbortSignal,
): Promise<DestinationsFacts> {
  const names = only === null ? await ses.configurationSets() : [only];
  const facts: DestinationsFacts = { destinations: [], looked: 0, total: names.length };
  for (const name of names) {
    if (signal.aborted) break;
    const found = await untilAborted(topicDestinations(ses, name), signal);
    if (found === null) break;
    facts.destinations.push(...found);
    facts.looked += 1;
  }
  return facts;
}

async function untilAborted<Answer>(answer: Promise<Answer>, signal: AbortSignal): Promise<Answer | null> {
  try {
    return await answer;
  } catch (error) {
    if (signal.aborted && error instanceof AwsCallError) return null;
    throw error;
  }
}

async function topicDestinations(ses: SesReader, configurationSet: string): Promise<DestinationFacts[]> {
  return (await ses.eventDestinations(configurationSet)).flatMap(
    ({ Name = "", Enabled = false, MatchingEventTypes = [], SnsDestination }) =>
      SnsDestination?.TopicArn
        ? [
            {
              configurationSet,
              name: Name,
              isEnabled: Enabled,
              eventTypes: [...MatchingEventTypes],
              topicArn: SnsDestination.TopicArn,
            },
          ]
        : [],
  );
}
