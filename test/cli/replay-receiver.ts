import { randomUUID } from "node:crypto";
import { afterAll, beforeAll } from "vitest";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import { type Ended, run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory } from "../support/fanmail-process.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent, timeAfter } from "../support/ses.ts";
import { snsSigner, testTopic } from "../support/sns-signer.ts";

export const ownTopic = "arn:aws:sns:us-east-1:000000000000:fanmail-replay";

export const foreignTopic = "arn:aws:sns:eu-west-1:999999999999:other";

export let directory: { path: string; remove(): Promise<void> };

export let database: TestDatabase;

export let service: TestService;

export let to: string;

export const environment = () => ({ DATA_DIR: directory.path });

export const replay = (stdin: string | Buffer, ...args: string[]) =>
  run(["replay", "-", "--to", to, "--json", ...args], environment(), stdin);

export const lines = (...values: unknown[]) => values.map((value) => `${JSON.stringify(value)}\n`).join("");

export const json = ({ code, stdout }: Ended) => [code, JSON.parse(stdout)];

/** The messageIds of what was stored beside what had been. */
export async function stored(
  work: () => Promise<Ended>,
): Promise<{ ended: Ended; bodies: Record<string, string>[] }> {
  const before = new Set((await bodiesOf()).map(({ body }) => body));
  const ended = await work();
  const bodies = (await bodiesOf()).filter(({ body }) => !before.has(body));
  return { ended, bodies: bodies.map(({ body }) => JSON.parse(body)) };
}

export const bodiesOf = () =>
  database.db.query<{ body: string }>(
    "select body from notifications order by sns_timestamp, sns_message_id",
  );

/** EventBridge's envelope is posted as a whole. */
export function idOf({ Message = "" }: Record<string, string>): string | undefined {
  const message = JSON.parse(Message);
  return (message.detail ?? message).mail?.messageId;
}

export function envelope(messageId: string, fields: object = {}): Record<string, string> {
  return {
    Type: "Notification",
    MessageId: randomUUID(),
    TopicArn: testTopic,
    Timestamp: timeAfter(5),
    Message: asMessage(sesEvent("Send", { messageId })),
    ...fields,
  };
}

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    directory = await dataDirectory();
    database = await testDatabase();
    const signer = await localSigner(directory.path);
    const aws = await snsSigner(directory.path);
    // Takes what AWS signed for one topic, and what is signed locally for both.
    const local = (arn: string) => `${signer.certificateUrl(arn)}=${signer.certificatePath}`;
    service = await startTestService({
      databaseUrl: database.url,
      roles: { receiver: true, workers: false },
      signer: aws,
      environment: {
        SNS_TOPIC_ARNS: `${testTopic},${ownTopic}`,
        SNS_LOCAL_CERTS: [aws.localCertificate, local(testTopic), local(ownTopic)].join(","),
      },
    });
    to = `${service.url}/ingest/sns`;
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
    await directory?.remove();
  });
}
