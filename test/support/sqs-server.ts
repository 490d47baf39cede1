import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  SQSClient,
} from "@aws-sdk/client-sqs";
import { buildApp } from "fauxqs";

/** What a process needs to reach the emulator as it would reach AWS. */
type SqsEnvironment = Record<
  "AWS_ENDPOINT_URL" | "AWS_REGION" | "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY",
  string
>;

export type SqsServer = {
  environment: SqsEnvironment;
  client: SQSClient;
  /** @returns its URL. */
  createQueue(name: string, attributes?: Record<string, string>): Promise<string>;
  /** Sends bodies as messages, in batches. */
  send(queueUrl: string, bodies: readonly string[]): Promise<void>;
  /** Messages that wait, and those that somebody has received. */
  size(queueUrl: string): Promise<{ waiting: number; inFlight: number }>;
  close(): Promise<void>;
};

/** An SQS of the test's own, over HTTP; the AWS SDK talks to it. */
export async function sqsServer(): Promise<SqsServer> {
  const server = buildApp({ logger: false });
  const endpoint = await server.listen({ port: 0, host: "127.0.0.1" });
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const client = new SQSClient({ endpoint, region: "us-east-1", credentials, useQueueUrlAsEndpoint: false });
  return {
    environment: {
      AWS_ENDPOINT_URL: endpoint,
      AWS_REGION: "us-east-1",
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
    },
    client,
    async createQueue(name, Attributes) {
      const { QueueUrl } = await client.send(
        new CreateQueueCommand({ QueueName: name, ...(Attributes && { Attributes }) }),
      );
      return QueueUrl ?? "";
    },
    async send(queueUrl, bodies) {
      for (let from = 0; from < bodies.length; from += 10) {
        const Entries = bodies
          .slice(from, from + 10)
          .map((MessageBody, n) => ({ Id: String(n), MessageBody }));
        await client.send(new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }));
      }
    },
    async size(queueUrl) {
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: queueUrl, AttributeNames: ["All"] }),
      );
      return {
        waiting: Number(Attributes?.["ApproximateNumberOfMessages"]),
        inFlight: Number(Attributes?.["ApproximateNumberOfMessagesNotVisible"]),
      };
    },
    async close() {
      client.destroy();
      await server.close();
    },
  };
}
