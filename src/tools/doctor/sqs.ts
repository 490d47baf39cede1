import { AwsCallError } from "../../aws/failure.ts";
import type { Reader } from "../../aws/reader.ts";
import { parseArn } from "../../domain/arn.ts";
import { awsTrouble } from "./aws-trouble.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { countMessages, type SqsQueueFacts, sqsQueueFacts } from "./facts-aws.ts";
import { covers, judgePolicy } from "./policy.ts";
import { topicName } from "./topics.ts";
import { counted, spanText } from "./wording.ts";

export type QueueQuestion = {
  url: string;
  arn: string;
  region: string;
  /** Those that are allow-listed; one of them at least is to send to the queue. */
  topicArns: readonly string[];
};

const shortestRetentionSeconds = 4 * 86_400;
const manyWaiting = 1_000;

/** A queue that we take notifications from. */
export async function lookAtSqs(sqs: Reader, question: QueueQuestion): Promise<Observation[]> {
  const { url, arn, region } = question;
  const name = `the queue ${topicName(arn)}`;
  let queue: SqsQueueFacts;
  try {
    queue = sqsQueueFacts(await sqs.queueAttributes(url));
  } catch (error) {
    const isMissing = error instanceof AwsCallError && error.kind === "missing";
    return [isMissing ? missing(name, region) : awsTrouble(name, error)];
  }
  const { waiting, inFlight, visibilitySeconds } = queue;
  const summary = `${capital(name)} has ${counted(waiting, "message")} waiting and ${inFlight} being taken in; its visibility timeout is ${spanText(visibilitySeconds)}.`;
  return [
    ok(summary),
    ...backlog(name, queue),
    ...retention(name, url, queue),
    ...sending(name, question, queue),
    ...(await deadLetters(sqs, name, url, queue)),
  ];
}

function missing(name: string, region: string): Observation {
  return fail(
    `There is no such thing as ${name}: SQS in ${region} does not know it.`,
    "Correct SQS_QUEUE_URLS: account, name and region; AWS_REGION where the URL does not tell the region.",
  );
}

function backlog(name: string, { waiting }: SqsQueueFacts): Observation[] {
  if (waiting < manyWaiting) return [];
  return [
    warn(
      `${capital(name)} has ${counted(waiting, "message")} waiting: nobody takes them in, or not fast enough.`,
      "Look whether fanmail worker (or fanmail start) runs with this SQS_QUEUE_URLS; CloudWatch has their age (ApproximateAgeOfOldestMessage).",
    ),
  ];
}

function retention(name: string, url: string, { retentionSeconds }: SqsQueueFacts): Observation[] {
  if (retentionSeconds >= shortestRetentionSeconds) return [];
  return [
    warn(
      `${capital(name)} keeps messages for ${spanText(retentionSeconds)} only; an outage that is longer loses them.`,
      `aws sqs set-queue-attributes --queue-url ${url} --attributes MessageRetentionPeriod=1209600.`,
    ),
  ];
}

function sending(name: string, { arn, topicArns }: QueueQuestion, { policy }: SqsQueueFacts): Observation[] {
  if (topicArns.length === 0) return [];
  const verdicts = topicArns.map((topic) =>
    judgePolicy(policy, {
      service: "sns.amazonaws.com",
      action: "sqs:SendMessage",
      resource: arn,
      account: parseArn(topic).account,
      isSource: (pattern) => covers(pattern, topic),
    }),
  );
  if (verdicts.includes("allowed")) return [];
  const remedy = `Allow Service sns.amazonaws.com the action sqs:SendMessage on it with aws:SourceArn ${topicArns[0]}; fanmail ses connect --queue does so.`;
  if (verdicts.includes("unsure")) {
    return [
      warn(
        `Whether the policy of ${name} lets a topic send depends on conditions that only AWS can judge.`,
        remedy,
      ),
    ];
  }
  return [fail(`The policy of ${name} lets none of the topics that are allow-listed send to it.`, remedy)];
}

async function deadLetters(
  sqs: Reader,
  name: string,
  url: string,
  { deadLetters: letters }: SqsQueueFacts,
): Promise<Observation[]> {
  if (letters === null) {
    return [
      warn(
        `${capital(name)} has no dead-letter queue: a message that cannot be taken in comes again until it expires.`,
        `aws sqs set-queue-attributes --queue-url ${url} --attributes '{"RedrivePolicy":"{\\"deadLetterTargetArn\\":\\"<ARN>\\",\\"maxReceiveCount\\":\\"10\\"}"}'.`,
      ),
    ];
  }
  return [...receives(name, letters.maxReceives), ...(await lookIntoDeadLetters(sqs, name, letters.arn))];
}

function receives(name: string, maxReceives: number): Observation[] {
  if (maxReceives >= 3) return [];
  return [
    warn(
      `${capital(name)} gives a message up after ${counted(maxReceives, "receive")}, as soon as the database is away for a moment.`,
      "Set maxReceiveCount of its RedrivePolicy to 10.",
    ),
  ];
}

async function lookIntoDeadLetters(sqs: Reader, name: string, arn: string): Promise<Observation[]> {
  try {
    const count = await countMessages(sqs, arn);
    if (count === 0) return [ok(`The dead-letter queue of ${name} is empty.`)];
    return [
      warn(
        `${counted(count, "message")} ${count === 1 ? "is" : "are"} in the dead-letter queue of ${name}.`,
        `Mend why they were refused (the log has "notification refused"), then bring them back: aws sqs start-message-move-task --source-arn ${arn}.`,
      ),
    ];
  } catch (error) {
    return [awsTrouble(`the dead-letter queue ${topicName(arn)}`, error)];
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
