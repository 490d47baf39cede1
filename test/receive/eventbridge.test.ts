import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { bridged, recommendation, sendingStatus } from "../support/eventbridge.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { type SqsServer, sqsServer } from "../support/sqs-server.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * SES → EventBridge → SNS, SQS, or an API destination, which posts as EventBridge documents it.
 */

const token = "raw_token_of_the_test_0123456789abcdef";
let database: TestDatabase;
let sqs: SqsServer;
let queueUrl: string;
let sink: TestSink;
let service: TestService;
/** When the test began: it looks at what was stored since. */
let begun: Date;

beforeAll(async () => {
  database = await testDatabase();
  sqs = await sqsServer();
  queueUrl = await sqs.createQueue("ses-events");
  Object.assign(process.env, sqs.environment);
  sink = await webhookSink(() => ({ status: 204 }));
  service = await startTestService({
    databaseUrl: database.url,
    environment: { ...sqs.environment, SQS_QUEUE_URLS: queueUrl, SNS_RAW_TOKEN: token },
  });
});
beforeEach(async () => {
  const [now] = await database.db.query<{ now: Date }>("select clock_timestamp() as now");
  begun = now?.now ?? new Date();
});
afterAll(async () => {
  await service?.close();
  await sink?.close();
  await sqs?.close();
  await database?.drop();
});

/** What an API destination posts; `body` is JSON text. */
async function post(path: string, body: string): Promise<[number, Record<string, string>]> {
  const answer = await fetch(service.url + path, {
    method: "POST",
    headers: {
      "content-type": "application/json; charset=utf-8",
      "user-agent": "Amazon/EventBridge/ApiDestinations",
      range: "bytes=0-1048575",
      authorization: "Basic dXNlcjpwYXNz",
    },
    body,
  });
  return [answer.status, z.record(z.string(), z.string()).parse(await answer.json())];
}

const destination = (payload: unknown) => post(`/ingest/sns/raw/${token}`, JSON.stringify(payload));

async function applied(notifications: number): Promise<void> {
  await until(`${notifications} are applied`, async () => {
    const [{ count } = { count: 0 }] = await database.db.query<{ count: number }>(
      `select coalesce(sum(notification_count), 0)::integer as count from batches
       where applied_at is not null and received_at >= $1`,
      [begun],
    );
    return count === notifications;
  });
}

/** One event of one email, however it came. */
async function stored(): Promise<unknown[]> {
  return database.db.query(
    "select owner_id, id, occurred_at, detail from events where created_at >= $1 order by id",
    [begun],
  );
}

async function journal(): Promise<{ reason: string | null }[]> {
  return database.db.query(
    `select arn, sns_message_id as id, sns_timestamp as at, quarantine_reason as reason from notifications
     join batches on batches.id = batch_id left join topics on topics.id = notifications.topic_id
     where received_at >= $1 order by arn collate "C"`,
    [begun],
  );
}

const event = sesEvent("Delivery", { after: 5 });
const envelope = bridged(event);
const id = envelope["id"];
const at = new Date("2026-11-20T10:00:07Z");

test("one event is one, bare or through EventBridge, in SNS, in a queue and posted by an API destination", async () => {
  await service.ingest(service.signer.notification(asMessage(event)));
  await applied(1);
  const [bare] = await stored();

  await service.ingest(service.signer.notification(asMessage(envelope)));
  await sqs.send(queueUrl, [JSON.stringify(envelope), JSON.stringify(envelope)]);
  expect(await destination(envelope)).toEqual([200, { status: "stored" }]);
  expect(await destination(envelope)).toEqual([200, { status: "duplicate" }]);

  await applied(4);
  expect(await stored()).toEqual([bare]);
  expect(await journal()).toEqual([
    { arn: "SNS_RAW_TOKEN", id, at, reason: null },
    { arn: testTopic, id: expect.any(String), at: expect.any(Date), reason: null },
    { arn: testTopic, id: expect.any(String), at: expect.any(Date), reason: null },
    { arn: "arn:aws:sqs:us-east-1:000000000000:ses-events", id, at, reason: null },
  ]);
});

describe("an API destination", () => {
  test("may be given a part of the event, or several: each is stored by itself, once", async () => {
    const batch = [
      bridged(sesEvent("Send", { messageId: "one" }), { id: "11111111-1111-4111-8111-111111111111" }),
      sesEvent("Send", { messageId: "two" }),
      { hello: "world" },
      null,
    ];

    expect(await destination({ detail: sesEvent("Send", { messageId: "three" }) })).toEqual([
      200,
      { status: "stored" },
    ]);
    expect(await destination(batch)).toEqual([200, { status: "stored" }]);
    expect((await destination(batch.slice(0, 2)))[1]).toEqual({ status: "duplicate" });

    await applied(5);
    const made = "select message_id from activity where created_at >= $1 order by message_id";
    expect(await database.db.query(made, [begun])).toEqual(
      ["one", "three", "two"].map((message_id) => ({ message_id })),
    );
    expect((await journal()).filter(({ reason }) => reason !== null)).toHaveLength(2);
  });

  test.each([
    ["without the token", "/ingest/sns", envelope, 400],
    ["with another token", "/ingest/sns/raw/another", envelope, 403],
    ["with an empty array", `/ingest/sns/raw/${token}`, [], 400],
    ["with text in it", `/ingest/sns/raw/${token}`, "hello", 400],
    ["that forges an SNS message", `/ingest/sns/raw/${token}`, { Type: "Notification", Message: "x" }, 400],
  ])("%s is refused", async (_what, path, payload, status) => {
    expect((await post(path, JSON.stringify(payload)))[0]).toBe(status);
    expect(await journal()).toEqual([]);
  });
});

describe("what SES says of the account", () => {
  test("is kept once and told once, to those that subscribe to it, through whichever way it comes", async () => {
    const subscriber = await addEndpoint(service.context, sink.url, { eventTypes: ["account.status"] });
    const everything = await addEndpoint(service.context, sink.url, { eventTypes: ["*"] });
    await addEndpoint(service.context, sink.url, { eventTypes: ["email.bounce"] });

    const disabled = sendingStatus("Disabled", { id: "22222222-2222-4222-8222-222222222222" });
    await service.ingest(service.signer.notification(asMessage(disabled)));
    await destination([disabled, recommendation("Open")]);
    await sqs.send(queueUrl, [JSON.stringify(disabled)]);

    await applied(4);
    await until("all is told", () => sink.received.length === 4);
    expect(
      await database.db.query("select kind, status, tenant_name, reason from account_statuses order by kind"),
    ).toEqual([
      {
        kind: "recommendation",
        status: "open",
        tenant_name: null,
        reason: "The bounce rate exceeded 15.0%.",
      },
      { kind: "sending", status: "disabled", tenant_name: "acme", reason: "High bounce rate." },
    ]);
    const told = await database.db.query<{ endpoint_id: string; event_id: string; body: string }>(
      "select endpoint_id, event_id, body from deliveries where event_type = 'account.status'",
    );
    expect(told.map(({ endpoint_id }) => endpoint_id).sort()).toEqual(
      [subscriber.id, subscriber.id, everything.id, everything.id].sort(),
    );
    expect(told.map(({ body }) => JSON.parse(body))).toContainEqual({
      event: "account.status",
      timestamp: expect.any(String),
      project_id: expect.any(String),
      is_test: false,
      data: expect.objectContaining({
        detail_type: "Sending Status Disabled",
        kind: "sending",
        status: "disabled",
        tenant_name: "acme",
        event_timestamp: at.toISOString(),
      }),
    });
  });
});
