import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  type SNSClient,
} from "@aws-sdk/client-sns";
import { looked } from "./failure.ts";
import { listSubscriptions, type Subscription } from "./lists.ts";

export type TopicLook = {
  /** JSON text; empty when there is none. */
  policy: string;
  signatureVersion: string;
  /** The key that encrypts it; null when it is not encrypted. */
  kmsKey: string | null;
};

/** @throws LookError */
export async function lookAtTopic(client: SNSClient, arn: string, signal: AbortSignal): Promise<TopicLook> {
  const command = new GetTopicAttributesCommand({ TopicArn: arn });
  const answer = client.send(command, { abortSignal: signal });
  const { Attributes = {} } = await looked("sns:GetTopicAttributes", answer);
  return {
    policy: Attributes["Policy"] ?? "",
    signatureVersion: Attributes["SignatureVersion"] ?? "1",
    kmsKey: Attributes["KmsMasterKeyId"] || null,
  };
}

/** @throws LookError */
export async function lookAtSubscriptions(client: SNSClient, topicArn: string): Promise<Subscription[]> {
  return looked("sns:ListSubscriptionsByTopic", listSubscriptions(client, topicArn));
}

export type SubscriptionDetails = {
  isPending: boolean;
  isRaw: boolean;
  hasFilter: boolean;
  hasDeadLetterQueue: boolean;
};

/** @throws LookError */
export async function lookAtSubscription(
  client: SNSClient,
  arn: string,
  signal: AbortSignal,
): Promise<SubscriptionDetails> {
  const command = new GetSubscriptionAttributesCommand({ SubscriptionArn: arn });
  const answer = client.send(command, { abortSignal: signal });
  const { Attributes = {} } = await looked("sns:GetSubscriptionAttributes", answer);
  const filter = Attributes["FilterPolicy"] ?? "";
  return {
    isPending: Attributes["PendingConfirmation"] === "true",
    isRaw: Attributes["RawMessageDelivery"] === "true",
    hasFilter: filter !== "" && filter !== "{}",
    hasDeadLetterQueue: Boolean(Attributes["RedrivePolicy"]),
  };
}
