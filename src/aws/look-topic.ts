import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  paginateListSubscriptionsByTopic,
  type SNSClient,
} from "@aws-sdk/client-sns";
import { looked } from "./look-failure.ts";

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

/** `arn`: null while the subscription waits for its confirmation. */
export type SubscriptionLook = { arn: string | null; protocol: string; endpoint: string };

/** @throws LookError */
export async function lookAtSubscriptions(client: SNSClient, topicArn: string): Promise<SubscriptionLook[]> {
  return looked("sns:ListSubscriptionsByTopic", listAll(client, topicArn));
}

async function listAll(client: SNSClient, topicArn: string): Promise<SubscriptionLook[]> {
  const found: SubscriptionLook[] = [];
  for await (const page of paginateListSubscriptionsByTopic({ client }, { TopicArn: topicArn })) {
    for (const { SubscriptionArn, Protocol = "", Endpoint = "" } of page.Subscriptions ?? []) {
      if (SubscriptionArn === "Deleted") continue;
      const arn = SubscriptionArn?.startsWith("arn:") ? SubscriptionArn : null;
      found.push({ arn, protocol: Protocol, endpoint: Endpoint });
    }
  }
  return found;
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
