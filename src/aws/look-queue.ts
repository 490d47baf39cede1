import { GetQueueAttributesCommand, GetQueueUrlCommand, type SQSClient } from "@aws-sdk/client-sqs";
import { z } from "zod";
import { jsonOrNull } from "../domain/json.ts";
import { looked } from "./failure.ts";

export type QueueLook = {
  /** Messages that wait, and that somebody has received and not yet deleted. SQS counts them roughly. */
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

/** @throws LookError */
export async function lookAtQueue(client: SQSClient, url: string, signal: AbortSignal): Promise<QueueLook> {
  const attributes = await attributesOf(client, url, signal);
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

/** How many messages a queue holds, by its ARN. @throws LookError */
export async function countMessages(client: SQSClient, arn: string, signal: AbortSignal): Promise<number> {
  const [account, name] = arn.split(":").slice(-2);
  const command = new GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account });
  const answer = client.send(command, { abortSignal: signal });
  const { QueueUrl = "" } = await looked("sqs:GetQueueUrl", answer);
  const attributes = await attributesOf(client, QueueUrl, signal);
  return Number(attributes["ApproximateNumberOfMessages"] ?? 0);
}

async function attributesOf(
  client: SQSClient,
  url: string,
  signal: AbortSignal,
): Promise<Record<string, string>> {
  const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
  const answer = client.send(command, { abortSignal: signal });
  return (await looked("sqs:GetQueueAttributes", answer)).Attributes ?? {};
}
