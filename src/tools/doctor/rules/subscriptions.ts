import { arnName } from "../../../domain/arn.ts";
import type { FactOf } from "../fact.ts";
import { nameOf } from "../wording.ts";
import { rule } from "./rule.ts";

type SubscriptionFact = FactOf<"subscription">;

/** Where it leads, without email addresses and paths, which may be secret. */
function wayOf({ protocol, endpoint }: Pick<SubscriptionFact, "protocol" | "endpoint">): string {
  if (URL.canParse(endpoint) && /^https?$/.test(protocol)) return `${protocol} ${new URL(endpoint).host}`;
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

export const subscriptionRules = [
  rule("subscriptions", {
    code: "subscription-none",
    area: "topics",
    level: "fail",
    when: (fact) => fact.ours === 0 && fact,
    say: ({ topicArn, others }) =>
      `No subscription of the topic ${nameOf(topicArn)} leads to Fanmail; ${others.length === 0 ? "it has none" : `its subscriptions lead elsewhere: ${others.map(wayOf).join(", ")}`}.`,
    remedy: ({ topicArn }) =>
      `Run npx fanmail ses connect, or aws sns subscribe --topic-arn ${topicArn} --protocol https --notification-endpoint https://<host>/ingest/sns.`,
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
