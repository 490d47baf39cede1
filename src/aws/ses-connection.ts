import { type AwsPlace, queueArn } from "../domain/arn.ts";

/*
 * What has to be there in AWS for events of a configuration set to reach Fanmail: a topic, an event destination that
 * publishes to it, and a subscription, of an https endpoint or of a queue.
 */

export type Target = { kind: "https"; url: string } | { kind: "queue"; name: string };

export type SesConnection = {
  configurationSet: string;
  /** Whether a configuration set that is missing is made. */
  createsConfigurationSet: boolean;
  topic: string;
  /** null: only what is before the subscription. */
  target: Target | null;
};

export const eventDestinationName = "fanmail";

/** All that SES publishes: the names of its API. */
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

/** A batch that is being committed must not come a second time meanwhile. */
export const queueVisibilitySeconds = 60;
/** 14 days, the most that SQS keeps a message. */
export const queueRetentionSeconds = 1_209_600;
export const queueMaxReceives = 10;

export function deadLetterName(queue: string): string {
  return `${queue}-dead`;
}

/** What SNS calls the receiver of a subscription. */
export function subscriptionOf(
  target: Target,
  place: AwsPlace,
): { protocol: "https" | "sqs"; endpoint: string } {
  if (target.kind === "https") return { protocol: "https", endpoint: target.url };
  return { protocol: "sqs", endpoint: queueArn(place, target.name) };
}
