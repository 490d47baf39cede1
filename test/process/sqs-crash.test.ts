import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { atLength } from "../support/length.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { snsSigner, testTopic } from "../support/sns-signer.ts";
import { type SqsServer, sqsServer } from "../support/sqs-server.ts";
import { until } from "../support/wait.ts";

/*
 * The built worker takes a queue in and is killed in the middle of it, over and over.
 */

const messageCount = atLength(1_000, 2_000);
const kills = atLength(2, 5);

let database: TestDatabase;
let sqs: SqsServer;
let directory: { path: string; remove(): Promise<void> };

beforeAll(async () => {
  database = await testDatabase();
  directory = await dataDirectory();
  sqs = await sqsServer();
});
afterAll(async () => {
  await sqs?.close();
  await directory?.remove();
  await database?.drop();
});

async function count(table: string): Promise<number> {
  const [row] = await database.db.query<{ count: number }>(`select count(*)::integer as count from ${table}`);
  return row?.count ?? 0;
}

test(`kill -9 of the consumer ${kills} times: each of ${messageCount} messages is applied, none twice, and the queue is empty`, async () => {
  const queueUrl = await sqs.createQueue("ses-events");
  const signer = await snsSigner(directory.path);
  const bodies = Array.from({ length: messageCount }, (_, n) =>
    JSON.stringify(signer.notification(asMessage(sesEvent("Send", { messageId: `message-${n}` })))),
  );
  await sqs.send(queueUrl, bodies);
  const environment = {
    ...sqs.environment,
    DATA_DIR: directory.path,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    SNS_TOPIC_ARNS: testTopic,
    SNS_LOCAL_CERTS: signer.localCertificate,
    SQS_QUEUE_URLS: queueUrl,
    LOG_LEVEL: "error",
    // Tells that the AWS SDK will want a newer Node.
    NODE_NO_WARNINGS: "1",
  };

  let inFlightAtKills = 0;
  let [victim, other] = [fanmail(["worker"], environment), fanmail(["worker"], environment)];
  for (let kill = 1; kill <= kills; kill++) {
    const goal = Math.floor((messageCount * kill) / (kills + 1));
    await until(`${goal} are stored`, async () => (await count("notifications")) >= goal, 90);
    victim.child.kill("SIGKILL");
    await victim.ended;
    inFlightAtKills += (await sqs.size(queueUrl)).inFlight;
    [victim, other] = [other, fanmail(["worker"], environment)];
  }
  // What those that were killed had received comes back after 20 seconds.
  await until(
    "the queue is empty",
    async () => {
      const { waiting, inFlight } = await sqs.size(queueUrl);
      return waiting + inFlight === 0;
    },
    90,
  );
  await until("all are applied", async () => (await count("batches where applied_at is null")) === 0, 60);
  for (const worker of [victim, other])
    expect(await terminate(worker)).toMatchObject({ code: 0, stderr: "" });

  expect(inFlightAtKills).toBeGreaterThan(0);
  expect(await count("notifications")).toBe(messageCount);
  expect(await count("notifications where quarantine_reason is not null")).toBe(0);
  expect(await count("activity where current_status = 'sent'")).toBe(messageCount);
  expect(await count("events")).toBe(messageCount);
}, 300_000);
