import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FailureClass } from "../../src/domain/delivery-outcome.ts";
import { readEndpointHeaders } from "../../src/domain/endpoint-headers.ts";
import { webhookEventTypes } from "../../src/domain/event-names.ts";
import { afterFailure } from "../../src/domain/retry-schedule.ts";
import { feed, idOf } from "../http/api.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { type SesOptions, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";

/*
 * docs/webhooks.md is true: its examples are held against webhooks that the service has really sent, its code verifies
 * them, and its tables are those of the code.
 */

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/webhooks.md", root), "utf8");
const eventTypes = [...webhookEventTypes, "webhook.test"] as const;

let database: TestDatabase;
let service: TestService;
let sink: TestSink;
let secret: string;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
  sink = await webhookSink(() => ({ status: 204 }));
  const endpoint = await addEndpoint({ url: sink.url, events: ["*"] });
  secret = endpoint.secret;
  await causeEveryEvent(endpoint.id);
  await until("every type has arrived", () =>
    eventTypes.every((type) => sink.received.some(({ body }) => typeOf(body) === type)),
  );
});
afterAll(async () => {
  await service?.close();
  await sink?.close();
  await database?.drop();
});

async function addEndpoint(fields: Record<string, unknown>): Promise<{ id: string; secret: string }> {
  return (await ask("POST", "/v1/webhooks", fields)).data as { id: string; secret: string };
}

async function ask(method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await service.request(method, path, body === undefined ? {} : { body });
  expect([path, answer.ok]).toEqual([path, true]);
  return (await answer.json()) as Record<string, unknown>;
}

const typeOf = (body: string) => (JSON.parse(body) as { event: string }).event;

/** What the examples of the page tell of. */
async function causeEveryEvent(endpointId: string): Promise<void> {
  const gone = await webhookSink(() => ({ status: 410 }));
  await addEndpoint({ url: gone.url, events: ["email.send"], description: "Old CRM" });
  await feedEmails();
  await until("the other endpoint is gone", () => sink.received.some(({ body }) => typeOf(body) === "endpoint.disabled"));
  await gone.close();
  await causeSuppressed(endpointId);
  const event = { email: "lea@example.net", event: "addtocart", timestamp: "2026-11-20T10:35:00Z" };
  await ask("POST", "/v1/events", { ...event, properties: { sku: "A-1", price: 9.5 } });
  await ask("DELETE", "/v1/suppressions/gone@example.com");
  await ask("POST", `/v1/webhooks/${endpointId}/test`);
}

const receipt = "0100019aa0c5f2c0-2f6d1c9e-7a51-4f0b-9a3d-5c8e1b7f4d20-000000";

async function feedEmails(): Promise<void> {
  const from = ["Shop <hello@shop.example.com>"];
  const about = (type: string, messageId: string, to: string, after: number, detail: SesOptions["detail"] = {}) =>
    sesEvent(type, { messageId, to: [to], after, detail, mail: { source: from[0], commonHeaders: { from }, tags } });
  const tags = { email_type: ["receipt"], campaign_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01"] };
  const reader = {
    ipAddress: "192.0.2.1",
    userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
  };
  const [jane, gone] = ["jane@example.com", "gone@example.com"];
  await feed(
    service,
    about("Send", receipt, jane, 0),
    about("Delivery", receipt, jane, 2),
    about("DeliveryDelay", `${receipt}-delay`, jane, 600, { delayType: "MailboxFull" }),
    about("Open", receipt, jane, 1800, reader),
    about("Click", receipt, jane, 1830, { ...reader, link: "https://shop.example.com/account/orders" }),
    about("Subscription", receipt, jane, 1840, { contactList: "News", source: "UnsubscribeHeader" }),
    about("Bounce", `${receipt}-bounce`, gone, 1, { bounceSubType: "NoEmail" }),
    about("Complaint", `${receipt}-complaint`, "kim@example.com", 7200, { complaintFeedbackType: "abuse" }),
    about("Reject", `${receipt}-reject`, jane, 0, { reason: "Bad content" }),
    about("Rendering Failure", `${receipt}-failure`, jane, 0, { templateName: "receipt" }),
  );
}

/** No event of SES makes such an event; one is stored, and a replay tells of it as of any other. */
async function causeSuppressed(endpointId: string): Promise<void> {
  await database.db.query(
    `insert into events (project_id, owner_id, occurred_at, id, type, detail, created_at)
     select project_id, id, '2026-11-20T10:00:00Z', '01a1f866-0d00-8000-8000-000000000001', 'suppressed', '{}',
       now() - interval '1 hour'
     from activity where id = $1`,
    [await idOf(service, receipt)],
  );
  await ask("POST", `/v1/webhooks/${endpointId}/replays`, {
    since: "2026-11-01",
    scope: "undelivered",
    events: ["email.suppressed"],
  });
}

test("dump", () => {
  const all = eventTypes.map((type) => JSON.parse(sink.received.find(({ body }) => typeOf(body) === type)!.body));
  (process as any).getBuiltinModule("node:fs").writeFileSync("/tmp/events.json", JSON.stringify(all, null, 1));
  (process as any).getBuiltinModule("node:fs").writeFileSync("/tmp/headers.json", JSON.stringify(sink.received[0], null, 1));
});
