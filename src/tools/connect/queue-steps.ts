import { queueStatement, readPolicy, withStatement } from "../../aws/policies.ts";
import { type Attributes, ifPresent, type Reader } from "../../aws/reader.ts";
import {
  deadLetterName,
  managedTag,
  queueMaxReceives,
  queueRetentionSeconds,
  queueVisibilitySeconds,
} from "../../aws/ses-connection.ts";
import { parseArn, queueArn } from "../../domain/arn.ts";
import type { Finding, Known, Step } from "./steps.ts";

const tags = { [managedTag.key]: managedTag.value };
const retention = { MessageRetentionPeriod: String(queueRetentionSeconds) };

/** The queue and what takes its messages that fail over and over. A queue that is there keeps settings that serve. */
export function queueSteps(name: string, topic: string): Step[] {
  return [
    {
      subject: `dead-letter queue of ${name}`,
      look: (reader, known) => deadLetterQueue(name, reader, known),
    },
    { subject: `queue ${name}`, look: async (_reader, known) => queue(name, topic, known) },
  ];
}

async function deadLetterQueue(name: string, reader: Reader, { topicArn }: Known): Promise<Finding> {
  const url = await ifPresent(reader.queueUrl(name));
  const attributes = url === null ? null : await ifPresent(reader.queueAttributes(url));
  const present = url === null || attributes === null ? null : { url, attributes };
  if (present?.attributes["RedrivePolicy"]) return { calls: [], learnt: { queue: present, queueUrl: url } };
  const deadName = deadLetterName(name);
  const learnt = { queue: present, queueUrl: url, deadLetterArn: queueArn(parseArn(topicArn), deadName) };
  if ((await ifPresent(reader.queueUrl(deadName))) !== null) return { calls: [], learnt };
  const input = { QueueName: deadName, Attributes: retention, tags };
  return { calls: [{ action: "sqs:CreateQueue", input }], learnt };
}

function queue(name: string, topic: string, { topicArn, queue: present, deadLetterArn }: Known): Finding {
  const attributes = present?.attributes ?? {};
  const arn = attributes["QueueArn"] ?? queueArn(parseArn(topicArn), name);
  const policy = withStatement(readPolicy(attributes["Policy"]), queueStatement(arn, topicArn, topic));
  const wanted: Record<string, string> = {
    ...atLeast(attributes, "VisibilityTimeout", queueVisibilitySeconds),
    ...atLeast(attributes, "MessageRetentionPeriod", queueRetentionSeconds),
    ...(deadLetterArn && {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: deadLetterArn,
        maxReceiveCount: queueMaxReceives,
      }),
    }),
    ...(policy && { Policy: JSON.stringify(policy) }),
  };
  const notes = encryptionNotes(attributes);
  if (present === null) {
    const input = { QueueName: name, Attributes: wanted, tags };
    return { calls: [{ action: "sqs:CreateQueue", input, gives: "queueUrl" }] };
  }
  if (Object.keys(wanted).length === 0) return { calls: [], notes };
  const input = { QueueUrl: present.url, Attributes: wanted };
  return { calls: [{ action: "sqs:SetQueueAttributes", input }], notes };
}

function atLeast(attributes: Attributes, name: string, least: number): Record<string, string> {
  return Number(attributes[name] ?? 0) >= least ? {} : { [name]: String(least) };
}

function encryptionNotes({ KmsMasterKeyId: key }: Attributes): string[] {
  return key
    ? [`The queue is encrypted with ${key}: that key's policy must let sns.amazonaws.com use it.`]
    : [];
}
