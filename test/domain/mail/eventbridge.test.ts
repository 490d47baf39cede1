import { describe, expect, test } from "vitest";
import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { nameOfRaw } from "../../../src/domain/mail/raw-notification.ts";
import { bridged, recommendation, sendingStatus, tenantArn } from "../../support/eventbridge.ts";
import { asMessage, sesEvent, timeAfter } from "../../support/ses.ts";

const publishedAt = new Date("2026-11-20T12:00:00.000Z");
const interpret = (payload: unknown, at = publishedAt) =>
  interpretNotification("project", JSON.stringify({ Message: asMessage(payload) }), at);
const bounce = sesEvent("Bounce", { after: 5 });
const id = "3cc76530-9842-03a9-fdef-e4e4f667cf4e";

describe("an SES event in the envelope of EventBridge", () => {
  test.each<[string, unknown]>([
    ["whole", bridged(bounce)],
    ["with its detail as text", bridged(bounce, { detail: JSON.stringify(bounce) })],
    ["of another source", bridged(bounce, { source: "shop.replay", "detail-type": "SES" })],
    ["transformed to its detail and time", { time: "2026-11-20T10:00:07Z", detail: bounce }],
    ["with nothing but the detail", { detail: bounce }],
    ["with ids and resources of the wrong type", bridged(bounce, { id: 5, resources: "x", time: {} })],
    ["transformed to the bare event", bounce],
  ])("is the same event as the bare one: %s", (_form, payload) => {
    expect(interpret(payload)).toEqual(interpret(bounce));
    expect(interpret(payload)).toMatchObject({ kind: "events" });
  });

  test("has the envelope's time where it has none of its own, whenever and however it arrives", () => {
    const open = sesEvent("Open", { detail: { timestamp: null } });

    expect(interpret(bridged(open))).toMatchObject({
      events: [{ event: { occurred_at: new Date("2026-11-20T10:00:07Z") } }],
    });
    expect(interpret(bridged(open), new Date(0))).toEqual(interpret(bridged(open)));
  });

  test.each<[string, unknown, unknown]>([
    [
      "no detail",
      bridged(bounce, { detail: undefined }),
      "EventBridge event: detail is missing or malformed",
    ],
    [
      "a text in words",
      bridged(bounce, { detail: "hello" }),
      "EventBridge event: detail is missing or malformed",
    ],
    ["a list", bridged(bounce, { detail: [bounce] }), "EventBridge event: detail is missing or malformed"],
    [
      "something of another service",
      bridged(bounce, { source: "aws.s3", "detail-type": "Object Created", detail: { bucket: {} } }),
      "EventBridge event: source is not aws.ses, and detail is not an SES event",
    ],
    [
      "an event without its mail",
      bridged(bounce, { detail: { eventType: "Bounce" } }),
      "mail is missing or malformed",
    ],
  ])("is set aside with %s, and says why", (_form, payload, reason) => {
    expect(interpret(payload)).toEqual({ kind: "invalid", reason });
  });

  test("of SES that tells of no email is ignored", () => {
    const call = bridged(bounce, {
      "detail-type": "AWS API Call via CloudTrail",
      detail: { eventName: "X" },
    });
    expect(interpret(call).kind).toBe("ignored");
  });
});

describe("a raw notification is known by", () => {
  const raw = (payload: unknown) => ({
    sourceArn: "arn:aws:sqs:us-east-1:123456789012:ses-events",
    messageId: "11111111-1111-4111-8111-111111111111",
    sentAt: new Date("2026-11-20T10:00:09Z"),
    message: JSON.stringify(payload),
  });

  test("the id and time of EventBridge, where there are some", () => {
    expect(nameOfRaw(raw(bridged(bounce)), publishedAt)).toEqual({
      messageId: id,
      sentAt: new Date("2026-11-20T10:00:07Z"),
    });
  });

  test("those of its carrier for what EventBridge did not bring, or a transformer has emptied", () => {
    const { messageId, sentAt } = raw(bounce);
    expect(nameOfRaw(raw(bounce), publishedAt)).toEqual({ messageId, sentAt });
    expect(nameOfRaw(raw(bridged(bounce, { detail: undefined })), publishedAt).messageId).toBe(messageId);
    expect(nameOfRaw(raw(bridged(bounce, { id: "x" })), publishedAt).messageId).toBe(messageId);
  });

  test("an id computed from it and its own time, where the carrier has none", () => {
    const bare = { ...raw(bounce), messageId: null, sentAt: null };
    const name = nameOfRaw(bare, publishedAt);
    expect(name).toEqual({ messageId: expect.any(String), sentAt: new Date(timeAfter(5)) });
    expect(nameOfRaw(bare, new Date())).toEqual(name);
  });
});

describe("what SES says of an account", () => {
  test("is told with its cause, and the tenant that it is about", () => {
    expect(interpret(sendingStatus("Disabled"))).toEqual({
      kind: "account_status",
      status: {
        id: expect.any(String),
        occurred_at: new Date("2026-11-20T10:00:07Z"),
        detail_type: "Sending Status Disabled",
        kind: "sending",
        status: "disabled",
        account_id: "123456789012",
        region: "us-east-1",
        resources: [tenantArn],
        tenant_name: "acme",
        reason: "High bounce rate.",
        recommendation_type: null,
        impact: null,
        origin: "AWS_MANAGED",
      },
    });
    expect(interpret(recommendation("Open"))).toMatchObject({
      status: {
        kind: "recommendation",
        status: "open",
        tenant_name: null,
        reason: "The bounce rate exceeded 15.0%.",
        recommendation_type: "BOUNCE",
        impact: "HIGH",
      },
    });
  });

  test.each<[string, Record<string, unknown>]>([
    ["no detail", { detail: undefined }],
    ["a detail of another form", { detail: { data: [1], metadata: "x" } }],
    ["no resources", { resources: undefined }],
  ])("is told with %s, too", (_form, more) => {
    expect(interpret(sendingStatus("Enabled", more))).toMatchObject({
      kind: "account_status",
      status: { status: "enabled", account_id: "123456789012" },
    });
  });

  test("is one fact whatever id EventBridge gives it, and another one at another time or for another tenant", () => {
    const idOf = (more: Record<string, unknown>) => {
      const read = interpret(sendingStatus("Disabled", more));
      return read.kind === "account_status" ? read.status.id : null;
    };
    const other = tenantArn.replace("acme", "other");

    expect(idOf({ id: "11111111-1111-4111-8111-111111111111" })).toBe(idOf({}));
    expect(new Set([idOf({}), idOf({ time: timeAfter(60) }), idOf({ resources: [other] })]).size).toBe(3);
  });

  test("is believed of SES alone", () => {
    expect(interpret(sendingStatus("Disabled", { source: "shop" })).kind).toBe("invalid");
  });
});
