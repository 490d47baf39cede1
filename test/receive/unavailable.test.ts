import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { counted, readMetrics } from "../observability/read-metrics.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { type SnsSigner, sharedKeyPair, snsSigner } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

/*
 * SNS repeats a 5xx and never a 4xx: whatever is our own trouble must be a 503.
 */

let directory: string;
let database: TestDatabase;
let service: TestService;
let aws: AwsStub;
let signer: SnsSigner;
let certificateAnswer: { status: number; body: string };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-unavailable-"));
  signer = await snsSigner(directory, { pair: await sharedKeyPair() });
  certificateAnswer = { status: 200, body: signer.certificate };
  aws = await awsStub((url, response) => {
    if (!url.includes("-dead")) response.writeHead(certificateAnswer.status).end(certificateAnswer.body);
  });
  database = await testDatabase();
  service = await startTestService({
    databaseUrl: database.url,
    signer,
    environment: { SNS_LOCAL_CERTS: "" },
    context: { awsDispatcher: aws.dispatcher },
  });
});
afterEach(async () => {
  await service.close();
  await aws.close();
  await database.drop();
  await rm(directory, { recursive: true });
});

const message = (messageId: string) => signer.notification(asMessage(sesEvent("Send", { messageId })));

test("one certificate serves any number of messages that arrive together", async () => {
  const answers = await Promise.all(
    Array.from({ length: 40 }, (_, index) => service.ingest(message(`m${index}`))),
  );

  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 40 }, () => 200));
  expect(aws.requested).toHaveLength(1);
});

test("a certificate that cannot be fetched: 503 with Retry-After", async () => {
  certificateAnswer = { status: 503, body: signer.certificate };

  const answer = await service.ingest(message("m"));

  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  expect(await answer.json()).toEqual({ error: `Cannot get the SNS certificate ${signer.certificateUrl}` });
});

test("certificates that strangers invent, and that hang, keep no genuine notification back", async () => {
  let answered = 0;
  const invented = Array.from({ length: 100 }, async (_, index) => {
    const SigningCertURL = signer.certificateUrl.replace(/-\w+\.pem/, `-dead${index.toString(16)}.pem`);
    const answer = await service.ingest({ ...message("m"), SigningCertURL });
    answered++;
    return answer;
  });
  await until("as many as may are fetched", () => aws.requested.length >= 16);

  const genuine = message("genuine");
  // Like SNS, which repeats it while the machine is too busy to fetch a certificate in its second.
  await until("it is taken", async () => (await service.ingest(genuine)).status === 200);
  expect(answered).toBeLessThan(invented.length);

  const statuses = (await Promise.all(invented)).map(({ status }) => status);
  expect(new Set(statuses)).toEqual(new Set([503]));
  expect(counted(await readMetrics(service.url), "fanmail_notifications_unavailable_total")).toEqual({});
}, 30_000);

test("a database that does not answer: 503 before SNS gives up, and what is stored later is a duplicate then", async () => {
  const held = message("held");
  const answer = await database.db.transaction(async (tx) => {
    await tx.query("lock table batches in access exclusive mode");
    return service.ingest(held);
  });
  const isStored = async () => (await database.db.query("select 1 from notifications")).length === 1;
  await until("it is stored", isStored);

  expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "5"]);
  expect(await answer.json()).toEqual({ error: "The notification was not stored within 10000 ms" });
  const readings = await readMetrics(service.url);
  expect(readings.get('fanmail_notifications_unavailable_total{source="http"}')).toBe(1);
  expect(readings.get('fanmail_notifications_received_total{source="http"}')).toBe(1);
  expect(await (await service.ingest(held)).json()).toEqual({ status: "duplicate" });
}, 30_000);

test("a database that is away: 503 with Retry-After, and the same message is taken when it is back", async () => {
  const first = message("before");
  expect((await service.ingest(first)).status).toBe(200);
  const blocked = message("while away");

  await database.block();
  const refused = await service.ingest(blocked);
  await database.unblock();
  const taken = await service.ingest(blocked);

  expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "5"]);
  expect([taken.status, await taken.json()]).toEqual([200, { status: "stored" }]);
});
