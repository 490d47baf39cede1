import { type AwsPlace, queueArn } from "../domain/arn.ts";

/*
 * What AWS needs so that events of a configuration set reach Fanmail: a topic, an event destination that publishes to
 * it, and a subscription for an https endpoint or an SQS queue.
 */

export type Target = { kind: "https"; url: string } | { kind: "queue"; name: string };

export type SesConnection = {
  configurationSet: string;
  /** Whether a missing configuration set is created. */
  createsConfigurationSet: boolean;
  topic: string;
  /** null: no subscription. */
  target: Target | null;
};

export const eventDestinationName = "fanmail";

/** All events that SES publishes, by the names of its API. */
export const sesEventTypes = [
  "SEND",
  "REJECT",
  "BOUNCE",
  "COMPLAINT",
  "DELIVERY",
  "OPEN",
  "CLICK",
  "RENDERING_FAILURE",
  "DELIVERY_DELAY",
  "SUBSCRIPTION",
] as const;

export const managedTag = { key: "managed-by", value: "fanmail" };

/** Long enough to commit a batch before SQS delivers it again. */
export const queueVisibilitySeconds = 60;
/** 14 days, the most that SQS keeps a message. */
export const queueRetentionSeconds = 1_209_600;
export const queueMaxReceives = 10;

export function deadLetterName(queue: string): string {
  return `${queue}-dead`;
}

/** The receiver of a subscription, in the terms of SNS. */
export function subscriptionOf(
  target: Target,
  place: AwsPlace,
): { protocol: "https" | "sqs"; endpoint: string } {
  if (target.kind === "https") return { protocol: "https", endpoint: target.url };
  return { protocol: "sqs", endpoint: queueArn(place, target.name) };
}
