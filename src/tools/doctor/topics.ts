import { parseArn } from "../../domain/arn.ts";
import { isSilent, silentSeconds } from "../../domain/topic-silence.ts";
import type { HeardTopic } from "../../storage/topics.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { ended, excerpt, spanText } from "./wording.ts";

/** What is stored of a topic: how its subscription to us is, and when it was last heard of. */
export function lookAtTopic(topic: HeardTopic): Observation[] {
  return [...subscription(topic), ...hearing(topic)];
}

/** What a name reads like in a line: the ARN without what all of them begin with. */
export function topicName(arn: string): string {
  const { resource, region } = parseArn(arn);
  return `${resource} (${region})`;
}

function subscription(topic: HeardTopic): Observation[] {
  const { arn, subscription_state: state, subscription_error: error } = topic;
  const name = topicName(arn);
  switch (state) {
    case "confirmed":
      return [];
    case "unknown":
      // A queue needs no confirmation of ours, nor does a topic that is heard already.
      if (topic.last_notification_at !== null) return [];
      return [
        warn(
          `The topic ${name} has not asked for a confirmation, and nothing has come from it.`,
          `Subscribe Fanmail: npx fanmail ses connect, or aws sns subscribe --topic-arn ${arn} --protocol https --notification-endpoint https://<host>/ingest/sns.`,
        ),
      ];
    case "confirmation_failed":
      return [
        fail(
          `The subscription to ${name} could not be confirmed: ${ended(excerpt(error ?? "no reason was kept"))}`,
          `Let this machine reach the SNS of the region over https, then have it sent again: aws sns subscribe --topic-arn ${arn} --protocol https --notification-endpoint https://<host>/ingest/sns.`,
        ),
      ];
    case "unsubscribed":
      return [
        fail(
          `Fanmail was unsubscribed from the topic ${name}.`,
          `Subscribe it again: aws sns subscribe --topic-arn ${arn} --protocol https --notification-endpoint https://<host>/ingest/sns.`,
        ),
      ];
    default:
      throw new Error(`unreachable: ${state satisfies never}`);
  }
}

function hearing(topic: HeardTopic): Observation[] {
  const seconds = silentSeconds(topic, topic.now);
  const name = topicName(topic.arn);
  if (seconds === null) {
    // Whoever has just subscribed waits for the first email.
    if (topic.subscription_state !== "confirmed") return [];
    return [
      warn(
        `The topic ${name} is subscribed, and nothing has ever come from it.`,
        "Send an email with the configuration set that publishes to it (X-SES-CONFIGURATION-SET), to success@simulator.amazonses.com for a try.",
      ),
    ];
  }
  if (!isSilent(topic, topic.now)) {
    return [ok(`The topic ${name} was last heard ${spanText(seconds)} ago.`)];
  }
  return [
    warn(
      `The topic ${name} is silent: the last notification came ${spanText(seconds)} ago, which is longer than it is used to.`,
      "See whether you still send with its configuration set, and what the checks of ses and topics say of it.",
    ),
  ];
}
