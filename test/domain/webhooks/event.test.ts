import { describe, expect, test } from "vitest";
import { timeOfId } from "../../../src/domain/computed-id.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import {
  emailWebhook,
  endpointDisabledWebhook,
  suppressionWebhook,
  testWebhook,
  trackedWebhook,
  type WebhookActivity,
} from "../../../src/domain/webhooks/event.ts";

const activity: WebhookActivity = {
  project_id: "project-1",
  id: "activity-1",
  message_id: "message-1",
  recipient_as_sent: "Jane@example.com",
  tagged_id: "tagged-1",
  campaign_id: "campaign-1",
  automation_run_id: "run-1",
  tenant_name: "acme",
  template_id: "template-1",
  tags: { campaign: ["welcome"] },
  is_test: true,
};
const event: EmailEvent = {
  id: "event-1",
  type: "bounced",
  occurred_at: new Date("2026-11-20T10:00:00.000Z"),
  detail: {
    user_agent: "UA",
    ip_address: "192.0.2.1",
    is_bot_event: "Unlikely",
    url_clicked: "https://a/",
    bounce_type: "Permanent",
    bounce_subtype: "General",
    complaint_feedback_type: "abuse",
    diagnostic_code: "smtp; 550 5.1.1",
    reporting_mta: "not told",
  },
};
const recordedAt = new Date("2026-11-20T10:00:05.000Z");

describe("emailWebhook", () => {
  test("is the whole body of webhooks.md, with its keys in that order", () => {
    expect(emailWebhook(activity, event, recordedAt).body()).toBe(
      JSON.stringify({
        event: "email.bounce",
        timestamp: "2026-11-20T10:00:05.000Z",
        project_id: "project-1",
        is_test: true,
        data: {
          activity_id: "tagged-1",
          message_id: "message-1",
          recipient: "Jane@example.com",
          event_type: "bounce",
          event_timestamp: "2026-11-20T10:00:00.000Z",
          url_clicked: "https://a/",
          bounce_type: "Permanent",
          bounce_subtype: "General",
          complaint_feedback_type: "abuse",
          status_code: null,
          diagnostic_code: "smtp; 550 5.1.1",
          smtp_response: null,
          delay_type: null,
          reject_reason: null,
          reported_address: null,
          recipient_certain: true,
          auto_reply: false,
          user_agent: "UA",
          ip_address: "192.0.2.1",
          is_bot_event: "Unlikely",
          campaign_id: "campaign-1",
          automation_run_id: "run-1",
          template_id: "template-1",
          tenant_name: "acme",
          tags: { campaign: ["welcome"] },
        },
      }),
    );
  });

  test("has null for what does not apply, and the activity's own id when the sender set none", () => {
    const bare: WebhookActivity = {
      ...activity,
      tagged_id: null,
      tenant_name: null,
      campaign_id: null,
      automation_run_id: null,
      template_id: null,
      tags: null,
      is_test: false,
    };

    expect(JSON.parse(emailWebhook(bare, { ...event, type: "sent", detail: {} }, recordedAt).body())).toEqual(
      {
        event: "email.send",
        timestamp: "2026-11-20T10:00:05.000Z",
        project_id: "project-1",
        is_test: false,
        data: {
          activity_id: "activity-1",
          message_id: "message-1",
          recipient: "Jane@example.com",
          event_type: "send",
          event_timestamp: "2026-11-20T10:00:00.000Z",
          url_clicked: null,
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
          user_agent: null,
          ip_address: null,
          is_bot_event: null,
          campaign_id: null,
          automation_run_id: null,
          template_id: null,
          tenant_name: null,
          tags: {},
        },
      },
    );
  });
});

describe("suppressionWebhook", () => {
  const added = (at: EmailEvent, when = recordedAt) =>
    suppressionWebhook(activity, at, { reason: "bounce", isEcho: false }, when);

  test("has the address, the reason and the source event", () => {
    const webhook = added(event);

    expect(webhook.type).toBe("suppression.added");
    expect(JSON.parse(webhook.body())).toEqual({
      event: "suppression.added",
      timestamp: "2026-11-20T10:00:05.000Z",
      project_id: "project-1",
      is_test: true,
      data: {
        activity_id: "tagged-1",
        message_id: "message-1",
        recipient: "Jane@example.com",
        reason: "bounce",
        tenant_name: null,
        source_event_id: "event-1",
        event_timestamp: "2026-11-20T10:00:00.000Z",
        bounce_type: "Permanent",
        bounce_subtype: "General",
        complaint_feedback_type: "abuse",
      },
    });
  });

  test("has an id of its own for each source, the same whenever it is recorded", () => {
    const first = added(event).id;
    const again = added(event, new Date("2027-01-01T00:00:00.000Z")).id;
    const ofOther = added({ ...event, id: "event-2" }).id;

    expect(again).toBe(first);
    expect(new Set([first, ofOther, event.id]).size).toBe(3);
    expect(timeOfId(first)).toBe(event.occurred_at.getTime());
  });
});

describe("trackedWebhook", () => {
  const custom = {
    id: "event-1",
    name: "checkout",
    occurred_at: new Date("2026-11-20T10:00:00.000Z"),
    properties: { total: 12.5, items: ["a"] },
  };
  const recipient = {
    project_id: "project-1",
    id: "recipient-1",
    address: "jane@example.com",
    is_test: true,
  };

  test("is the whole body of webhooks.md, with its keys in that order, under the id of the event", () => {
    const webhook = trackedWebhook(recipient, custom, recordedAt);

    expect([webhook.id, webhook.type]).toEqual(["event-1", "event.tracked"]);
    expect(webhook.body()).toBe(
      JSON.stringify({
        event: "event.tracked",
        timestamp: "2026-11-20T10:00:05.000Z",
        project_id: "project-1",
        is_test: true,
        data: {
          event: "checkout",
          email: "jane@example.com",
          recipient_id: "recipient-1",
          event_id: "event-1",
          properties: { items: ["a"], total: 12.5 },
          event_timestamp: "2026-11-20T10:00:00.000Z",
        },
      }),
    );
  });
});

describe("webhooks about an endpoint", () => {
  const endpoint = { project_id: "project-1", id: "endpoint-1", description: "CRM" };

  test("a test is one", () => {
    const webhook = testWebhook("event-1", endpoint, recordedAt);

    expect([timeOfId(webhook.id), webhook.type]).toEqual([recordedAt.getTime(), "webhook.test"]);
    expect(webhook.id).not.toBe(testWebhook("event-2", endpoint, recordedAt).id);
    expect(JSON.parse(webhook.body())).toEqual({
      event: "webhook.test",
      timestamp: "2026-11-20T10:00:05.000Z",
      project_id: "project-1",
      is_test: true,
      data: {
        endpoint_id: "endpoint-1",
        message: expect.any(String),
        event_timestamp: "2026-11-20T10:00:05.000Z",
      },
    });
  });

  test.each([new Date("2026-11-15T10:00:05.000Z"), null])(
    "that it is disabled holds why and since when it failed (%s), and not where it is",
    (failingSince) => {
      const disabled = { failingSince, disabledAt: recordedAt };
      const webhook = endpointDisabledWebhook("event-1", endpoint, "failing", disabled);

      expect([timeOfId(webhook.id), webhook.type]).toEqual([recordedAt.getTime(), "endpoint.disabled"]);
      expect(JSON.parse(webhook.body())).toEqual({
        event: "endpoint.disabled",
        timestamp: "2026-11-20T10:00:05.000Z",
        project_id: "project-1",
        is_test: false,
        data: {
          endpoint_id: "endpoint-1",
          description: "CRM",
          reason: "failing",
          failing_since: failingSince?.toISOString() ?? null,
          event_timestamp: "2026-11-20T10:00:05.000Z",
        },
      });
    },
  );
});
