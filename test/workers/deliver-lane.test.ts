import { createHmac, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { Webhook } from "standardwebhooks";
import { afterEach, beforeEach, expect, test } from "vitest";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent, timeAfter } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type Received, rawSink, type TestSink, webhookSink } from "../support/webhook-sink.ts";

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
      status_code: null,
      diagnostic_code: null,
      smtp_response: null,
      delay_type: null,
      reject_reason: null,
      reported_address: null,
      recipient_certain: true,
      auto_reply: false,
      user_agent: "Browser",
      ip_address: "192.0.2.1",
      is_bot_event: null,
      campaign_id: "6f1b1f0a-5e1c-4b6e-9f64-5b0d3e0c8a11",
      automation_run_id: null,
      template_id: null,
      tenant_name: null,
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
  await database.db.query("update deliveries set attempts = 9, schedule_step = 9, due_at = now()");
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

test("an answer that trickles is broken off after 15 seconds, with what came of it", async () => {
  const trickling = await rawSink((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const drip = setInterval(() => socket.write("1\r\nx\r\n"), 500);
    socket.on("close", () => clearInterval(drip));
  });
  const silent = await rawSink(() => {});
  await addEndpoint(service.context, trickling.url);
  await addEndpoint(service.context, silent.url);
  await ingest(sesEvent("Send"));
  await until("both are tried", async () => (await attempts()).length === 2);
  await Promise.all([trickling.close(), silent.close()]);

  const message = "No whole answer in 15000 ms";
  expect((await attempts()).toSorted((one) => (one["status"] === null ? 1 : -1))).toEqual([
    { number: 1, status: 200, failure: "timeout", message, excerpt: expect.stringMatching(/^x{20,}$/) },
    { number: 1, status: null, failure: "timeout", message, excerpt: null },
  ]);
  expect((await deliveries()).map(({ state }) => state)).toEqual(["retrying", "retrying"]);
}, 60_000);

test.each([
  ["at once", ""],
  ["in the middle of its head", "HTTP/1.1 200 OK\r\nx-a"],
  ["in the middle of its body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart"],
])("a socket that is closed %s is a failed connection", async (_when, sent) => {
  const closing = await rawSink((socket) => socket.end(sent));
  await addEndpoint(service.context, closing.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");
  await closing.close();

  const isAnswered = sent.endsWith("part");
  expect(await attempts()).toMatchObject([
    {
      failure: "connection",
      status: isAnswered ? 200 : null,
      excerpt: isAnswered ? "part" : null,
      message: expect.any(String),
    },
  ]);
});

test.each([
  ["https://no-such-host.invalid/hook", "dns", /no-such-host\.invalid/],
  ["https://10.0.0.1/hook", "blocked", /10\.0\.0\.1/],
  ["http://192.0.2.1/hook", "blocked", /192\.0\.2\.1/],
])("%s is a failure of class %s, told in the attempt", async (url, failure, message) => {
  await addEndpoint(service.context, url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");

  expect(await attempts()).toMatchObject([
    { failure, status: null, message: expect.stringMatching(message), excerpt: null },
  ]);
});

test("a compressed answer is kept as it came: nothing is unpacked", async () => {
  const packed = gzipSync("x".repeat(1_000_000));
  const zipping = await rawSink((socket) => {
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), packed]));
  });
  await addEndpoint(service.context, zipping.url);
  await ingest(sesEvent("Send"));
  await stateIs("succeeded");
  await zipping.close();

  const [row] = await database.db.query<{ length: number }>("select length(excerpt) from attempts");
  expect(row?.length).toBeLessThanOrEqual(packed.length);
});

test("410 disables the endpoint at once: what it is owed is held, and the others are told", async () => {
  const gone = await webhookSink(() => ({ status: 410, body: "moved away" }));
  const { id } = await addEndpoint(service.context, gone.url, { description: "old system" });
  await addEndpoint(service.context, sink.url, { eventTypes: ["endpoint.disabled"] });
  await ingest(sesEvent("Send"));
  await until("the others are told", () => sink.received.length === 1);
  await ingest(sesEvent("Open", { after: 60 }));
  await until("the next is held", async () => (await deliveries()).length === 3);
  await gone.close();

  const [endpoint] = await database.db.query(
    "select state, disabled_reason, disabled_at is not null as dated from webhook_endpoints where id = $1",
    [id],
  );
  expect(endpoint).toEqual({ state: "disabled", disabled_reason: "gone", dated: true });
  expect(gone.received).toHaveLength(1);
  expect(
    await database.db.query("select state, event_type from deliveries where endpoint_id = $1", [id]),
  ).toEqual([
    { state: "held", event_type: "email.send" },
    { state: "held", event_type: "email.open" },
  ]);
  expect(await attempts()).toContainEqual({
    number: 1,
    status: 410,
    failure: "http_4xx",
    message: null,
    excerpt: "moved away",
  });
  expect(JSON.parse(sink.received[0]?.body ?? "")).toEqual({
    event: "endpoint.disabled",
    timestamp: expect.any(String),
    project_id: defaultProjectId,
    is_test: false,
    data: {
      endpoint_id: id,
      description: "old system",
      reason: "gone",
      failing_since: expect.any(String),
      event_timestamp: expect.any(String),
    },
  });
});

test("five days without a success disable an endpoint", async () => {
  answer = () => ({ status: 500 });
  const { id } = await addEndpoint(service.context, sink.url);
  await ingest(sesEvent("Send"));
  await stateIs("retrying");
  await database.db.query("update webhook_lanes set failing_since = now() - interval '5 days'");
  await retryNow();
  await until("it is disabled", async () => {
    const [row] = await database.db.query<{ reason: string }>(
      "select disabled_reason as reason from webhook_endpoints where id = $1",
      [id],
    );
    return row?.reason === "failing";
  });
  await stateIs("held");
});

test("what a disabled endpoint would have got is held for it", async () => {
  const { id } = await addEndpoint(service.context, sink.url);
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [id]);
  await ingest(sesEvent("Send"));
  await stateIs("held");

  expect(sink.received).toEqual([]);
});

test("what a batch owes an endpoint that is just being disabled or removed does not get lost between", async () => {
  const [disabled, removed] = [
    await addEndpoint(service.context, sink.url),
    await addEndpoint(service.context, sink.url),
  ];
  await database.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [disabled.id]);
  await database.db.query(
    "update webhook_endpoints set state = 'deleted', disabled_at = now() where id = $1",
    [removed.id],
  );
  for (const { id } of [disabled, removed]) {
    await database.db.query(
      `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state)
       values ($1, gen_random_uuid(), $2, gen_random_uuid(), 'email.open', '{}', 'pending')`,
      [defaultProjectId, id],
    );
  }
  await until("neither is pending", async () =>
    (await deliveries()).every(({ state }) => state !== "pending"),
  );

  expect((await deliveries()).map(({ state }) => state).toSorted()).toEqual(["cancelled", "held"]);
  expect(sink.received).toEqual([]);
});

test("the customer's own headers are sent, and the signature of Really Quick Emails where asked for", async () => {
  const { secret } = await addEndpoint(service.context, sink.url, {
    headers: { authorization: "Bearer of the customer", "x-team": "mail" },
    legacy_signature: true,
  });
  await ingest(sesEvent("Send"));
  await stateIs("succeeded");

  const [request] = sink.received;
  const hmac = createHmac("sha256", secret)
    .update(request?.body ?? "")
    .digest("hex");
  expect(request?.headers).toMatchObject({
    authorization: "Bearer of the customer",
    "x-team": "mail",
    "x-rqe-signature": `sha256=${hmac}`,
  });
  const [row] = await database.db.query<{ sealed: Buffer }>(
    "select sealed_headers as sealed from webhook_endpoints",
  );
  expect(row?.sealed.includes("Bearer of the customer")).toBe(false);
});

test("secrets that do not open are a fault of ours: no attempt is used up, and the lane rests", async () => {
  await addEndpoint({ ...service.context, secretBox: createSecretBox([randomBytes(32)]) }, sink.url);
  await ingest(sesEvent("Send"));
  await until("the lane rests", async () => {
    const [lane] = await database.db.query<{ rests: boolean }>(
      "select coalesce(paused_until > now() + interval '20 seconds', false) as rests from webhook_lanes",
    );
    return lane?.rests === true;
  });

  expect(await deliveries()).toEqual([{ state: "pending", attempts: 0 }]);
  expect(sink.received).toEqual([]);
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('fanmail_webhook_attempts_total{outcome="our_fault"} 1');
});

test("secrets are stored encrypted", async () => {
  const { secret } = await addEndpoint(service.context, sink.url);

  const [row] = await database.db.query<{ sealed: Buffer }>("select sealed from webhook_secrets");
  expect(row?.sealed.includes(Buffer.from(secret))).toBe(false);
  expect(row?.sealed.includes(Buffer.from(secret.slice("whsec_".length), "base64"))).toBe(false);
});
