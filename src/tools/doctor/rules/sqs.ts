import { parseArn } from "../../../domain/arn.ts";
import { covers, judgePolicy, type Permission } from "../policy.ts";
import { counted, nameOf, spanText } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type SqsQueueFact = FactOf<"sqs-queue">;

const shortestRetentionSeconds = 4 * 86_400;
const manyWaiting = 1_000;
const fewestReceives = 3;

/** The best permission that the queue's policy gives to any of the topics. */
function maySend({ policy, arn, topicArns }: SqsQueueFact): Permission {
  const verdicts = topicArns.map((topic) =>
    judgePolicy(policy, {
      service: "sns.amazonaws.com",
      action: "sqs:SendMessage",
      resource: arn,
      account: parseArn(topic).account,
      isSource: (pattern) => covers(pattern, topic),
    }),
  );
  if (topicArns.length === 0 || verdicts.includes("allowed")) return "allowed";
  return verdicts.includes("unsure") ? "unsure" : "denied";
}

const sendRemedy = ({ topicArns }: SqsQueueFact) =>
  `Allow Service sns.amazonaws.com the action sqs:SendMessage on it with aws:SourceArn ${topicArns[0]}; fanmail ses connect --queue does so.`;

export const sqsRules = [
  rule("no-sqs-queue", {
    code: "sqs-queue-none",
    area: "sqs",
    level: "ok",
    when: (fact) => fact,
    say: "No queue is configured.",
  }),
  rule("missing-sqs-queue", {
    code: "sqs-queue-missing",
    area: "sqs",
    level: "fail",
    when: (fact) => fact,
    say: ({ arn, region }) =>
      `There is no such thing as the queue ${nameOf(arn)}: SQS in ${region} does not know it.`,
    remedy:
      "Correct SQS_QUEUE_URLS: account, name and region; AWS_REGION if the URL does not name the region.",
  }),
  rule("sqs-queue", {
    code: "sqs-queue",
    area: "sqs",
    level: "ok",
    when: (fact) => fact,
    say: ({ arn, waiting, inFlight, visibilitySeconds }) =>
      `The queue ${nameOf(arn)} has ${counted(waiting, "message")} waiting and ${inFlight} in flight; its visibility timeout is ${spanText(visibilitySeconds)}.`,
  }),
  rule("sqs-queue", {
    code: "sqs-backlog",
    area: "sqs",
    level: "warn",
    when: (fact) => fact.waiting >= manyWaiting && fact,
    say: ({ arn, waiting }) =>
      `The queue ${nameOf(arn)} has ${counted(waiting, "message")} waiting: they are not received, or not fast enough.`,
    remedy:
      "Check that fanmail worker (or fanmail start) runs with this SQS_QUEUE_URLS; CloudWatch has their age (ApproximateAgeOfOldestMessage).",
  }),
  rule("sqs-queue", {
    code: "sqs-retention",
    area: "sqs",
    level: "warn",
    when: (fact) => fact.retentionSeconds < shortestRetentionSeconds && fact,
    say: ({ arn, retentionSeconds }) =>
      `The queue ${nameOf(arn)} keeps messages for ${spanText(retentionSeconds)} only; a longer outage loses them.`,
    remedy: ({ url }) =>
      `aws sqs set-queue-attributes --queue-url ${url} --attributes MessageRetentionPeriod=1209600.`,
  }),
  rule("sqs-queue", {
    code: "sqs-policy-unsure",
    area: "sqs",
    level: "warn",
    when: (fact) => maySend(fact) === "unsure" && fact,
    say: ({ arn }) =>
      `Whether the policy of the queue ${nameOf(arn)} lets a topic send depends on conditions that only AWS can judge.`,
    remedy: sendRemedy,
  }),
  rule("sqs-queue", {
    code: "sqs-policy-denies",
    area: "sqs",
    level: "fail",
    when: (fact) => maySend(fact) === "denied" && fact,
    say: ({ arn }) =>
      `The policy of the queue ${nameOf(arn)} lets none of the topics that are allow-listed send to it.`,
    remedy: sendRemedy,
  }),
  rule("sqs-queue", {
    code: "sqs-dead-letters-none",
    area: "sqs",
    level: "warn",
    when: (fact) => fact.deadLetters === null && fact,
    say: ({ arn }) =>
      `The queue ${nameOf(arn)} has no dead-letter queue: a message that cannot be processed is delivered again until it expires.`,
    remedy: ({ url }) =>
      `aws sqs set-queue-attributes --queue-url ${url} --attributes '{"RedrivePolicy":"{\\"deadLetterTargetArn\\":\\"<ARN>\\",\\"maxReceiveCount\\":\\"10\\"}"}'.`,
  }),
  rule("sqs-queue", {
    code: "sqs-receives",
    area: "sqs",
    level: "warn",
    when: ({ arn, deadLetters }) =>
      deadLetters !== null &&
      deadLetters.maxReceives < fewestReceives && { arn, maxReceives: deadLetters.maxReceives },
    say: ({ arn, maxReceives }) =>
      `The queue ${nameOf(arn)} gives a message up after ${counted(maxReceives, "receive")}, which takes only a short outage of the database.`,
    remedy: "Set maxReceiveCount of its RedrivePolicy to 10.",
  }),
  rule("dead-letters", {
    code: "sqs-dead-letters-empty",
    area: "sqs",
    level: "ok",
    when: (fact) => fact.count === 0 && fact,
    say: ({ queueArn }) => `The dead-letter queue of the queue ${nameOf(queueArn)} is empty.`,
  }),
  rule("dead-letters", {
    code: "sqs-dead-letters",
    area: "sqs",
    level: "warn",
    when: (fact) => fact.count > 0 && fact,
    say: ({ queueArn, count }) =>
      `${counted(count, "message")} ${count === 1 ? "is" : "are"} in the dead-letter queue of the queue ${nameOf(queueArn)}.`,
    remedy: ({ arn }) =>
      `Fix why they were refused (the log has "notification refused"), then bring them back: aws sqs start-message-move-task --source-arn ${arn}.`,
  }),
];
