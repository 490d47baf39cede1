import type { AwsErrorKind } from "../../../src/aws/failure.ts";
import type { FactOf, SystemFact } from "../../../src/tools/doctor/rules/rule.ts";
import { queueUrl, subscription as subscriptionArn, topic } from "./healthy-world.ts";

/*
 * A fact for the code of each rule about AWS, and about what could not be read.
 */

const at = new Date("2026-11-20T10:00:00Z");
const queueArn = "arn:aws:sqs:eu-west-1:123456789012:fanmail";

const unread = (why: FactOf<"unread">["why"]): SystemFact => ({
  kind: "unread",
  area: "queue",
  subject: "the queue",
  why,
  reason: "it says no",
});

const failure = (kind: AwsErrorKind): SystemFact => ({
  kind: "aws-failure",
  area: "sqs",
  subject: "the queue fanmail (eu-west-1)",
  failure: kind,
  action: "sqs:GetQueueAttributes",
  reason: "it says no",
});

const policy = (Service: string, Action: string, Condition: object) =>
  JSON.stringify({
    Statement: [{ Effect: "Allow", Principal: { Service }, Action, Resource: "*", Condition }],
  });

const inTopic = (changes: Partial<FactOf<"topic">>): SystemFact => ({
  kind: "topic",
  arn: topic,
  policy: policy("ses.amazonaws.com", "sns:Publish", {}),
  signatureVersion: "2",
  kmsKey: null,
  configurationSet: null,
  ...changes,
});

const subscribed = (
  changes: Partial<NonNullable<FactOf<"subscription">["confirmed"]>>,
  protocol = "https",
): SystemFact => ({
  kind: "subscription",
  topicArn: topic,
  protocol,
  endpoint: protocol === "https" ? "https://fanmail.example.com/ingest/sns" : queueArn,
  snsRawTokens: [],
  confirmed: {
    arn: subscriptionArn,
    isRaw: false,
    hasFilter: false,
    hasDeadLetterQueue: true,
    ...changes,
  },
});

const accountStatus = (changes: Partial<FactOf<"account-status">>): SystemFact => ({
  kind: "account-status",
  id: "0192f0c4-0000-7000-8000-000000000001",
  project_id: "0192f0c4-0000-7000-8000-000000000002",
  occurred_at: at,
  detail_type: "Sending Status Disabled",
  status: "disabled",
  account_id: "123456789012",
  region: "us-east-1",
  resources: [],
  tenant_name: null,
  reason: "High bounce rate.",
  recommendation_type: null,
  impact: null,
  origin: null,
  ...changes,
});

const account = (changes: Partial<FactOf<"ses-account">>): SystemFact => ({
  kind: "ses-account",
  region: "eu-west-1",
  isSending: true,
  isInSandbox: false,
  enforcement: "HEALTHY",
  ...changes,
});

const sets = (changes: Partial<FactOf<"configuration-sets">>): SystemFact => ({
  kind: "configuration-sets",
  region: "eu-west-1",
  configurationSet: null,
  read: 2,
  total: 2,
  destinations: 0,
  isHeard: false,
  ...changes,
});

const sesEventTypes = [
  "SEND",
  "REJECT",
  "BOUNCE",
  "COMPLAINT",
  "DELIVERY",
  "OPEN",
  "CLICK",
  "RENDERING_FAILURE",
];

const destination = (changes: Partial<FactOf<"destination">>): SystemFact => ({
  kind: "destination",
  configurationSet: "my-set",
  name: "fanmail",
  isEnabled: true,
  eventTypes: [...sesEventTypes, "DELIVERY_DELAY", "SUBSCRIPTION"],
  topicArn: topic,
  ...changes,
});

const queue = (changes: Partial<FactOf<"sqs-queue">>): SystemFact => ({
  kind: "sqs-queue",
  url: queueUrl,
  arn: queueArn,
  topicArns: [topic],
  waiting: 1,
  inFlight: 2,
  retentionSeconds: 1_209_600,
  visibilitySeconds: 60,
  policy: policy("sns.amazonaws.com", "sqs:SendMessage", {}),
  deadLetters: { arn: `${queueArn}-dead`, maxReceives: 10 },
  ...changes,
});

const overTls = { Bool: { "aws:SecureTransport": "true" } };
const regions = ["eu-west-1", "us-east-1"];
const credentials = { reason: "there are no AWS credentials" };

export const awsExamples: Record<string, SystemFact> = {
  "unread-slow": unread("slow"),
  "unread-not-permitted": unread("not-permitted"),
  unread: unread("other"),
  unasked: { kind: "unasked", area: "queue", subject: "the queue", reason: "the database is away" },
  "aws-unasked": { kind: "no-credentials", area: "ses", subject: "configuration sets", ...credentials },
  "sqs-without-credentials": { kind: "no-credentials-for-sqs", ...credentials },
  "aws-no-credentials": failure("no-credentials"),
  "aws-refused-credentials": failure("refused-credentials"),
  "aws-missing": failure("missing"),
  "aws-denied": failure("denied"),
  "aws-not-in-region": failure("not-in-region"),
  "aws-throttled": failure("throttled"),
  "aws-unknown-host": failure("unknown-host"),
  "aws-unreachable": failure("unreachable"),
  "aws-other": failure("other"),

  "topic-in-aws": inTopic({}),
  "topic-fifo": inTopic({ arn: `${topic}.fifo` }),
  "topic-policy-denies": inTopic({ policy: "", configurationSet: "my-set" }),
  "topic-policy-unsure": inTopic({ policy: policy("ses.amazonaws.com", "sns:Publish", overTls) }),
  "topic-encrypted-by-aws": inTopic({ kmsKey: "alias/aws/sns" }),
  "topic-encrypted": inTopic({ kmsKey: "arn:aws:kms:eu-west-1:123456789012:key/1" }),
  "subscription-none": {
    kind: "subscriptions",
    topicArn: topic,
    ours: 0,
    others: [
      { arn: null, protocol: "https", endpoint: "https://other.example.com/secret" },
      { arn: null, protocol: "lambda", endpoint: "arn:aws:lambda:eu-west-1:123456789012:function:mine" },
      { arn: null, protocol: "email", endpoint: "me@example.com" },
    ],
  },
  "subscription-pending": {
    kind: "subscription",
    topicArn: topic,
    protocol: "https",
    endpoint: "https://fanmail.example.com/ingest/sns",
    snsRawTokens: [],
    confirmed: null,
  },
  "subscription-confirmed": subscribed({}),
  "subscription-raw-queue": subscribed({ isRaw: true }, "sqs"),
  "subscription-raw": subscribed({ isRaw: true }),
  "subscription-filter": subscribed({ hasFilter: true }),
  "subscription-dead-letters": subscribed({ hasDeadLetterQueue: false }),

  "account-status": { kind: "account-statuses", newest: at, troubles: 0 },
  "account-disabled": accountStatus({}),
  "tenant-disabled": accountStatus({ tenant_name: "acme", reason: null }),
  "account-recommendation": accountStatus({ status: "open", impact: "HIGH", recommendation_type: "BOUNCE" }),
  "sending-paused": account({ isSending: false }),
  sandbox: account({ isInSandbox: true }),
  "under-review": account({ enforcement: "PROBATION" }),
  "ses-account": account({ enforcement: "" }),
  "ses-region-unknown": { kind: "no-ses-region" },
  "global-endpoint-unheard": { kind: "global-endpoint", name: "both", regions, unheard: ["us-east-1"] },
  "global-endpoint": { kind: "global-endpoint", name: "both", regions, unheard: [] },
  "destination-none-but-heard": sets({ isHeard: true }),
  "destination-none": sets({ configurationSet: "my-set" }),
  "configuration-sets-unread": sets({ read: 1 }),
  "destination-disabled": destination({ isEnabled: false, name: "by-hand" }),
  destination: destination({}),
  "destination-incomplete": destination({ eventTypes: sesEventTypes }),
  "configuration-set-paused": { kind: "configuration-set", name: "my-set", isSending: false },

  "sqs-queue-none": { kind: "no-sqs-queue" },
  "sqs-queue-missing": { kind: "missing-sqs-queue", arn: queueArn, region: "eu-west-1" },
  "sqs-queue": queue({}),
  "sqs-backlog": queue({ waiting: 1_000 }),
  "sqs-retention": queue({ retentionSeconds: 86_400 }),
  "sqs-policy-unsure": queue({ policy: policy("sns.amazonaws.com", "sqs:SendMessage", overTls) }),
  "sqs-policy-denies": queue({ policy: "" }),
  "sqs-dead-letters-none": queue({ deadLetters: null }),
  "sqs-receives": queue({ deadLetters: { arn: `${queueArn}-dead`, maxReceives: 2 } }),
  "sqs-dead-letters-empty": { kind: "dead-letters", queueArn, arn: `${queueArn}-dead`, count: 0 },
  "sqs-dead-letters": { kind: "dead-letters", queueArn, arn: `${queueArn}-dead`, count: 3 },
};
