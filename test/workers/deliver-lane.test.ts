import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent, timeAfter } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let answer: (request: Received, number: number) => Answer | Promise<Answer>;

beforeEach(async () => {
  answer = () => ({ status: 204 });
  sink = await webhookSink((request, number) => answer(request, number));
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterEach(async () => {
  await service.close();
  await sink.close();
  await database.drop();
});

async function ingest(payload: unknown): Promise<void> {
  const response = await service.ingest(service.signer.notification(asMessage(payload)));
  expect(response.status).toBe(200);
}

const deliveries = () =>
  database.db.query<{ state: string; attempts: number }>(
    "select state, attempts from deliveries order by created_at, id",
  );
const stateIs = (...states: string[]) =>
  until(`deliveries are ${states.join(", ")}`, async () => {
    return JSON.stringify((await deliveries()).map(({ state }) => state)) === JSON.stringify(states);
  });
const attempts = () =>
  database.db.query("select number, status, failure, message, excerpt from attempts order by started_at, id");
/** Lets a retry be due now instead of in its time. */
const retryNow = () => database.db.query("update deliveries set due_at = now() where state = 'retrying'");

test("an event arrives once, signed as Standard Webhooks wants it, with everything a receiver needs", async () => {
  const { secret } = await addEndpoint(service.context, sink.url);
  await ingest(
    sesEvent("Click", {
      after: 9,
      detail: { link: "https://example.org/a", ipAddress: "192.0.2.1", userAgent: "Browser" },
      mail: { tags: { campaign_id: ["6F1B1F0A-5E1C-4B6E-9F64-5B0D3E0C8A11"] } },
    }),
  );
  await stateIs("succeeded");

  expect(sink.received).toHaveLength(1);
  const [request] = sink.received;
  const body = new Webhook(secret).verify(request?.body ?? "", request?.headers as Record<string, string>);
  const [event] = await database.db.query<{ id: string; owner_id: string }>(
    "select id, owner_id from events",
  );
  expect(request?.headers["webhook-id"]).toBe(event?.id);
  expect(request?.headers["x-fanmail-attempt"]).toBe("1");
  expect(request?.headers["content-type"]).toBe("application/json");
  expect(request?.headers["user-agent"]).toMatch(/^Fanmail\/\d/);
  expect(body).toEqual({
    event: "email.click",
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    project_id: defaultProjectId,
    is_test: false,
    data: {
      activity_id: event?.owner_id,
      message_id: "message-1",
      recipient: "jane@example.com",
      event_type: "click",
      event_timestamp: timeAfter(9),
      url_clicked: "https://example.org/a",
      bounce_type: null,
      bounce_subtype: null,
      complaint_feedback_type: null,
      user_agent: "Browser",
      ip_address: "192.0.2.1",
      campaign_id: "6f1b1f0a-5e1c-4b6e-9f64-5b0d3e0c8a11",
      automation_run_id: null,
      template_id: null,
      tags: { campaign_id: ["6F1B1F0A-5E1C-4B6E-9F64-5B0D3E0C8A11"] },
    },
  });
  expect(await attempts()).toEqual([{ number: 1, status: 204, failure: null, message: null, excerpt: "" }]);
});

test("an endpoint gets what it subscribed to, and discarded opens go to nobody", async () => {
  await addEndpoint(service.context, sink.url, { eventTypes: ["email.open"] });
  await ingest(sesEvent("Send"));
  await ingest(sesEvent("Open", { after: 60 }));
  await until(
    "the open is counted",
    async () => (await database.db.query("select 1 from events")).length === 2,
  );
  await ingest(sesEvent("Open", { after: 120 }));
  await until("three events", async () => (await database.db.query("select 1 from events")).length === 3);
  await stateIs("succeeded");

  expect(sink.received.map(({ body }) => JSON.parse(body).data.event_timestamp)).toEqual([timeAfter(60)]);
});

test("a repeat of a notification sends no second webhook", async () => {
  await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await ingest({ ...sesEvent("Send"), seenAgain: true });
  await until("both are applied", async () => {
    const [row] = await database.db.query<{ repeated: number }>(
      "select sum(repeated_count)::int as repeated from batches",
    );
    return row?.repeated === 1;
  });
  await stateIs("succeeded");

  expect(sink.received).toHaveLength(1);
});

test("a failed attempt is repeated on schedule, with the same body and id and a signature of its own time", async () => {
  answer = (_request, number) => (number < 3 ? { status: 500, body: "out of order" } : { status: 200 });
  const { secret } = await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");
  const [first] = await database.db.query<{ seconds: number }>(
    "select extract(epoch from due_at - now())::float as seconds from deliveries",
  );
  await retryNow();
  await until("the second attempt is written", async () => (await attempts()).length === 2);
  await stateIs("retrying");
  await retryNow();
  await stateIs("succeeded");

  expect(first?.seconds).toBeLessThanOrEqual(6);
  expect(sink.received.map(({ headers }) => headers["x-fanmail-attempt"])).toEqual(["1", "2", "3"]);
  expect(new Set(sink.received.map(({ body }) => body)).size).toBe(1);
  expect(new Set(sink.received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  for (const { body, headers } of sink.received)
    new Webhook(secret).verify(body, headers as Record<string, string>);
  expect(await attempts()).toEqual([
    { number: 1, status: 500, failure: "http_5xx", message: null, excerpt: "out of order" },
    { number: 2, status: 500, failure: "http_5xx", message: null, excerpt: "out of order" },
    { number: 3, status: 200, failure: null, message: null, excerpt: "" },
  ]);
});

test("a redirect is not followed, and is a failure", async () => {
  const elsewhere = await webhookSink(() => ({ status: 200 }));
  answer = () => ({ status: 302, headers: { location: elsewhere.url } });
  await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");
  await elsewhere.close();

  expect(elsewhere.received).toEqual([]);
  expect(await attempts()).toMatchObject([{ status: 302, failure: "http_3xx" }]);
});

test("Retry-After is waited for", async () => {
  answer = () => ({ status: 429, headers: { "retry-after": "3600" } });
  await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");

  const [row] = await database.db.query<{ seconds: number }>(
    "select extract(epoch from due_at - now())::float as seconds from deliveries",
  );
  expect(row?.seconds).toBeGreaterThan(3_500);
});

test("nobody listening is a failed connection, told in the attempt", async () => {
  await addEndpoint(service.context, "http://127.0.0.1:9/");
  await ingest(sesEvent("Send"));
  await stateIs("retrying");

  expect(await attempts()).toMatchObject([{ number: 1, status: null, failure: "connection" }]);
});

test("after the tenth attempt a delivery is exhausted, and stays visible", async () => {
  answer = () => ({ status: 500 });
  await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");
  await database.db.query("update deliveries set attempts = 9, due_at = now()");
  await stateIs("exhausted");

  expect(await deliveries()).toEqual([{ state: "exhausted", attempts: 10 }]);
});

test("a huge answer is read to 16 KiB, and its 200 is a success", async () => {
  answer = () => ({ status: 200, body: "x".repeat(10_000_000) });
  await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("succeeded");

  const [row] = await database.db.query<{ length: number }>("select length(excerpt) from attempts");
  expect(row?.length).toBe(16 * 1024);
});

test("what a disabled endpoint would have got is held for it", async () => {
  const { id } = await addEndpoint(service.context, sink.url);
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [id]);
  await ingest(sesEvent("Send"));
  await stateIs("held");

  expect(sink.received).toEqual([]);
});

test("secrets are stored encrypted", async () => {
  const { secret } = await addEndpoint(service.context, sink.url);

  const [row] = await database.db.query<{ sealed: Buffer }>("select sealed from webhook_secrets");
  expect(row?.sealed.includes(Buffer.from(secret))).toBe(false);
  expect(row?.sealed.includes(Buffer.from(secret.slice("whsec_".length), "base64"))).toBe(false);
});
