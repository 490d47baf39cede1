import { type AwsErrorKind, awsFailures } from "../../../aws/failure.ts";
import { ended } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

/*
 * What doctor could not read, in any area.
 */

const areaOf = ({ area }: { area: FactOf<"unread">["area"] }) => area;

const unread = {
  area: areaOf,
  level: "fail",
  say: ({ subject, reason }: FactOf<"unread">) => `Doctor could not look at ${subject}: ${ended(reason)}`,
} as const;

const ownUnreadRules = [
  rule("unread", {
    ...unread,
    code: "unread-slow",
    when: (fact) => fact.why === "slow" && fact,
    remedy: "See whether it is overloaded or unreachable, or give it longer: --timeout 30.",
  }),
  rule("unread", {
    ...unread,
    code: "unread-not-permitted",
    when: (fact) => fact.why === "not-permitted" && fact,
    remedy:
      "Connect as the role that owns the tables, or grant what is missing: grant select, insert, update, delete on all tables in schema public to <role>.",
  }),
  rule("unread", {
    ...unread,
    code: "unread",
    when: (fact) => fact.why === "other" && fact,
    remedy: "Fix the cause that it names, and run npx fanmail doctor again.",
  }),
  rule("unasked", {
    code: "unasked",
    area: areaOf,
    level: "skipped",
    when: (fact) => fact,
    say: ({ subject, reason }) => `Doctor did not look at ${subject}: ${reason}.`,
  }),
];

const credentialsRemedy =
  "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run it where a role gives them; doctor only reads.";

const credentialRules = [
  rule("no-credentials", {
    code: "aws-unasked",
    area: areaOf,
    level: "skipped",
    when: (fact) => fact,
    say: ({ subject, reason }) => `Doctor did not look at ${subject}: ${reason}.`,
    remedy: credentialsRemedy,
  }),
  rule("no-credentials-for-sqs", {
    code: "sqs-without-credentials",
    area: "sqs",
    level: "fail",
    when: (fact) => fact,
    say: ({ reason }) => `SQS_QUEUE_URLS is set, and its queues cannot be read: ${reason}.`,
    remedy: credentialsRemedy,
  }),
];

/** A row for each kind of failure of AWS. */
const failureRules = (Object.keys(awsFailures) as AwsErrorKind[]).map((failure) => {
  const { level, say, remedy } = awsFailures[failure].read;
  return rule("aws-failure", {
    code: `aws-${failure}`,
    area: areaOf,
    level,
    when: (fact) => fact.failure === failure && { ...fact, reason: ended(fact.reason) },
    say,
    remedy,
  });
});

export const unreadRules = [...ownUnreadRules, ...credentialRules, ...failureRules];
