import { expect } from "vitest";
import { webhookEventTypes } from "../../src/domain/mail/event-names.ts";
import { sendingStatus } from "../support/eventbridge.ts";
import type { TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";

export const eventTypes = [...webhookEventTypes, "webhook.test"] as const;

export const typeOf = (body: string) => (JSON.parse(body) as { event: string }).event;

/** Adds an endpoint that is sent everything, and causes every event of docs/webhooks.md. @returns its secret. */
export async function causeEveryEvent(project: TestProject, sink: TestSink): Promise<string> {
  const { id, secret } = await project.addEndpoint(sink.url);
  const gone = await webhookSink(() => ({ status: 410 }));
  await project.addEndpoint(gone.url, { event_types: ["email.send"], description: "Old CRM" });
  await applyEmails(project);
  await until("the other endpoint is gone", () =>
    sink.received.some(({ body }) => typeOf(body) === "endpoint.disabled"),
  );
  await gone.close();
  await causeSuppressed(project, id);
  const event = { email: "lea@example.net", event: "addtocart", timestamp: "2026-11-20T10:35:00Z" };
  await ask(project, "POST", "/v1/events", { ...event, properties: { sku: "A-1", price: 9.5 } });
  await ask(project, "DELETE", "/v1/suppressions/gone@example.com");
  await project.apply(sendingStatus("Disabled"));
  await ask(project, "POST", `/v1/webhooks/${id}/test`);
  await until("every type has arrived", () =>
    eventTypes.every((type) => sink.received.some(({ body }) => typeOf(body) === type)),
  );
  return secret;
}

/** One message for each kind of event. */
const messages = {
  receipt: "0100019aa0c5f2c0-2f6d1c9e-7a51-4f0b-9a3d-5c8e1b7f4d20-000000",
  delayed: "0100019aa0c5f2c0-51c0e7aa-93f4-4b6e-8d17-6e2b9c4f5a38-000000",
  bounced: "0100019aa0c5f2c0-8b1e4a70-3c2d-4e8f-a6b5-1d9f0c7e2a34-000000",
  complained: "0100019aa0c5f2c0-c47a9e15-6f80-4b3a-8e2c-7a5d3b1f9062-000000",
  rejected: "0100019aa0c5f2c0-e93b58d4-1a6c-4f27-b0c9-2f8d7e5a6b41-000000",
  failed: "0100019aa0c5f2c0-f0d26c83-7b95-4d1a-9e34-8c1a5f3e7d92-000000",
};
const tags = { campaign_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01"], email_type: ["receipt"] };

const unknownUser = {
  emailAddress: "gone@example.com",
  action: "failed",
  status: "5.1.1",
  diagnosticCode: "smtp; 550 5.1.1 user unknown",
};

async function applyEmails(project: TestProject): Promise<void> {
  const to =
    (address: string) =>
    (type: string, message: keyof typeof messages, after: number, detail = {}) =>
      sesEvent(type, { messageId: messages[message], to: [address], after, detail, mail: { tags } });
  const [jane, gone, kim] = [to("jane@example.com"), to("gone@example.com"), to("kim@example.com")];
  const reader = {
    ipAddress: "192.0.2.1",
    userAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)",
  };
  await project.apply(
    jane("Send", "receipt", 0),
    jane("Delivery", "receipt", 2, { smtpResponse: "250 2.0.0 OK" }),
    jane("DeliveryDelay", "delayed", 600),
    jane("Open", "receipt", 1800, reader),
    jane("Click", "receipt", 1830, { ...reader, link: "https://shop.example.com/account/orders" }),
    jane("Subscription", "receipt", 1840),
    gone("Bounce", "bounced", 1, { bounceSubType: "NoEmail", bouncedRecipients: [unknownUser] }),
    kim("Complaint", "complained", 7200, { complaintFeedbackType: "abuse" }),
    jane("Reject", "rejected", 0, { reason: "Bad content" }),
    jane("Rendering Failure", "failed", 0),
  );
}

/** SES sends nothing that makes such an event: one is stored, and redelivered like any other. */
async function causeSuppressed(project: TestProject, endpointId: string): Promise<void> {
  await project.select(
    `insert into events (project_id, owner_id, occurred_at, id, type, detail, created_at)
     select project_id, id, '2026-11-20T10:00:00Z', '01a1f866-0d00-8000-8000-000000000001', 'suppressed', '{}',
       now() - interval '1 hour'
     from activity where message_id = $1`,
    [messages.receipt],
  );
  await ask(project, "POST", `/v1/webhooks/${endpointId}/replays`, {
    since: "2026-11-01",
    scope: "undelivered",
    events: ["email.suppressed"],
  });
}

async function ask(
  project: TestProject,
  method: string,
  path: string,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const answer = await project.request(method, path, body === undefined ? {} : { body });
  expect([path, answer.ok]).toEqual([path, true]);
  return (await answer.json()) as Record<string, unknown>;
}
