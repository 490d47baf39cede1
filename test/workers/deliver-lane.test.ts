import { createHmac, randomBytes } from "node:crypto";
import { Webhook } from "standardwebhooks";
import { expect } from "vitest";
import { addEndpoint } from "../../src/webhooks/endpoints.ts";
import { createSecretBox } from "../../src/webhooks/secret-box.ts";
import { sesEvent, timeAfter } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { test } from "./lane.ts";

test("an event arrives once, signed as Standard Webhooks wants it, with everything a receiver needs", async ({
  lane,
  project,
  sink,
}) => {
  const { secret } = await project.addEndpoint(sink.url);
  await project.apply(
    sesEvent("Click", {
      after: 9,
      detail: { link: "https://example.org/a", ipAddress: "192.0.2.1", userAgent: "Browser" },
      mail: { tags: { campaign_id: ["6F1B1F0A-5E1C-4B6E-9F64-5B0D3E0C8A11"] } },
    }),
  );
  await lane.stateIs("succeeded");

  expect(sink.received).toHaveLength(1);
  const [request] = sink.received;
  const body = new Webhook(secret).verify(request?.body ?? "", request?.headers as Record<string, string>);
  const [event] = await project.select<{ id: string; owner_id: string }>("select id, owner_id from events");
  expect(request?.headers["webhook-id"]).toBe(event?.id);
  expect(request?.headers["x-fanmail-attempt"]).toBe("1");
  expect(request?.headers["content-type"]).toBe("application/json");
  expect(request?.headers["user-agent"]).toMatch(/^Fanmail\/\d/);
  expect(body).toEqual({
    event: "email.click",
    timestamp: expect.stringMatching(/^\d{4}-.*Z$/),
    project_id: project.id,
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
  expect(await lane.attempts()).toEqual([
    { number: 1, status: 204, failure: null, message: null, excerpt: "" },
  ]);
});

test("an endpoint gets what it subscribed to, and discarded opens go to nobody", async ({
  lane,
  project,
  sink,
}) => {
  await project.addEndpoint(sink.url, { event_types: ["email.open"] });
  await project.apply(sesEvent("Send"));
  await project.apply(sesEvent("Open", { after: 60 }));
  await project.apply(sesEvent("Open", { after: 120 }));
  await lane.stateIs("succeeded");

  expect(sink.received.map(({ body }) => JSON.parse(body).data.event_timestamp)).toEqual([timeAfter(60)]);
});

test("a repeat of a notification sends no second webhook", async ({ lane, project, sink }) => {
  await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await project.apply({ ...sesEvent("Send"), seenAgain: true });
  await until("both are applied", async () => {
    const [row] = await project.select<{ repeated: number }>(
      "select sum(repeated_count)::int as repeated from batches",
    );
    return row?.repeated === 1;
  });
  await lane.stateIs("succeeded");

  expect(sink.received).toHaveLength(1);
});

test("a failed attempt is repeated on schedule, with the same body and id and a signature of its own time", async ({
  lane,
  project,
  sink,
}) => {
  sink.answer = (_request, number) => (number < 3 ? { status: 500, body: "out of order" } : { status: 200 });
  const { secret } = await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");
  const [first] = await project.select<{ seconds: number }>(
    "select extract(epoch from due_at - now())::float as seconds from deliveries",
  );
  await lane.retryNow();
  await until("the second attempt is written", async () => (await lane.attempts()).length === 2);
  await lane.stateIs("retrying");
  await lane.retryNow();
  await lane.stateIs("succeeded");

  expect(first?.seconds).toBeLessThanOrEqual(6);
  expect(sink.received.map(({ headers }) => headers["x-fanmail-attempt"])).toEqual(["1", "2", "3"]);
  expect(new Set(sink.received.map(({ body }) => body)).size).toBe(1);
  expect(new Set(sink.received.map(({ headers }) => headers["webhook-id"])).size).toBe(1);
  for (const { body, headers } of sink.received)
    new Webhook(secret).verify(body, headers as Record<string, string>);
  expect(await lane.attempts()).toEqual([
    { number: 1, status: 500, failure: "http_5xx", message: null, excerpt: "out of order" },
    { number: 2, status: 500, failure: "http_5xx", message: null, excerpt: "out of order" },
    { number: 3, status: 200, failure: null, message: null, excerpt: "" },
  ]);
});

test("after the tenth attempt a delivery is exhausted, and stays visible", async ({
  lane,
  project,
  sink,
  database,
}) => {
  sink.answer = () => ({ status: 500 });
  await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");
  await database.db.query(
    "update deliveries set attempts = 9, schedule_step = 9, due_at = now() where project_id = $1",
    [project.id],
  );
  await lane.stateIs("exhausted");

  expect(await lane.deliveries()).toEqual([{ state: "exhausted", attempts: 10 }]);
});

test("the customer's own headers are sent, and the signature of Really Quick Emails where asked for", async ({
  lane,
  project,
  sink,
}) => {
  const { secret } = await project.addEndpoint(sink.url, {
    headers: { authorization: "Bearer of the customer", "x-team": "mail" },
    legacy_signature: true,
  });
  await project.apply(sesEvent("Send"));
  await lane.stateIs("succeeded");

  const [request] = sink.received;
  const hmac = createHmac("sha256", secret)
    .update(request?.body ?? "")
    .digest("hex");
  expect(request?.headers).toMatchObject({
    authorization: "Bearer of the customer",
    "x-team": "mail",
    "x-rqe-signature": `sha256=${hmac}`,
  });
  const [row] = await project.select<{ sealed: Buffer }>(
    "select sealed_headers as sealed from webhook_endpoints",
  );
  expect(row?.sealed.includes("Bearer of the customer")).toBe(false);
});

test("secrets that do not open are a fault of ours: no attempt is used up, and the lane rests", async ({
  lane,
  project,
  sink,
  service,
}) => {
  const secretBox = createSecretBox([randomBytes(32)]);
  await addEndpoint({ ...service.context, secretBox }, project.id, sink.url);
  await project.apply(sesEvent("Send"));
  await until("the lane rests", async () => {
    const [lane] = await project.select<{ rests: boolean }>(
      "select coalesce(paused_until > now() + interval '20 seconds', false) as rests from webhook_lanes",
    );
    return lane?.rests === true;
  });

  expect(await lane.deliveries()).toEqual([{ state: "pending", attempts: 0 }]);
  expect(sink.received).toEqual([]);
  const metrics = await (await fetch(`${service.url}/metrics`)).text();
  expect(metrics).toContain('fanmail_webhook_attempts_total{outcome="our_fault"} 1');
});

test("secrets are stored encrypted", async ({ project, sink }) => {
  const { secret } = await project.addEndpoint(sink.url);

  const [row] = await project.select<{ sealed: Buffer }>("select sealed from webhook_secrets");
  expect(row?.sealed.includes(Buffer.from(secret))).toBe(false);
  expect(row?.sealed.includes(Buffer.from(secret.slice("whsec_".length), "base64"))).toBe(false);
});
