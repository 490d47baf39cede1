import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readEvents } from "../../../src/domain/mail/email-event.ts";
import { parseSesNotification, type SesEvent } from "../../../src/domain/mail/ses-notification.ts";
import { atLength } from "../../support/length.ts";
import { asMessage, sesEvent } from "../../support/ses.ts";

const publishedAt = new Date("2026-11-20T12:00:00.000Z");

function eventOf(message: string): SesEvent {
  const parsed = parseSesNotification(message);
  if (parsed.kind !== "event") throw new Error(`not an event: ${JSON.stringify(parsed)}`);
  return parsed.event;
}

describe("parseSesNotification", () => {
  test("takes identity feedback for the same event as event publishing", () => {
    const { eventType, ...rest } = sesEvent("Bounce");

    expect(eventOf(asMessage({ notificationType: eventType, ...rest }))).toEqual(
      eventOf(asMessage({ eventType, ...rest })),
    );
  });

  test.each([
    ["AmazonSnsSubscriptionSucceeded", "set_up"],
    ["Received", "inbound_mail"],
    ["FutureEvent", "unknown_type"],
    ["bounce", "unknown_type"],
    ["RenderingFailure", "unknown_type"],
    ["__proto__", "unknown_type"],
    ["constructor", "unknown_type"],
    ["hasOwnProperty", "unknown_type"],
  ])("ignores the type %s as %s, in either format", (type, reason) => {
    for (const key of ["eventType", "notificationType"]) {
      expect(parseSesNotification(`{"${key}":"${type}","mail":{"messageId":"m"}}`)).toEqual({
        kind: "ignored",
        reason,
      });
    }
  });

  test.each([
    ["", "The message is not JSON"],
    ["jane@example.com has bounced", "The message is not JSON"],
    ["null", "The message is not a JSON object"],
    ['"text"', "The message is not a JSON object"],
    ["[1]", "The message is not a JSON object"],
    ["{}", "Neither eventType nor notificationType is there: not an SES event"],
    ['{"eventType":7}', "Neither eventType nor notificationType is there: not an SES event"],
    [
      '{"__proto__":{"eventType":"Send"}}',
      "Neither eventType nor notificationType is there: not an SES event",
    ],
    ['{"eventType":"Send"}', "mail is missing or malformed"],
    [
      '{"eventType":"Send","mail":{"destination":["jane@example.com"]}}',
      "mail.messageId is missing or malformed",
    ],
    ['{"eventType":"Send","mail":{"messageId":""}}', "mail.messageId is missing or malformed"],
    [
      `{"eventType":"Send","mail":{"messageId":"${"m".repeat(513)}"}}`,
      "mail.messageId is missing or malformed",
    ],
    ['{"eventType":"Open","mail":{"messageId":"m"},"open":"text"}', "open is missing or malformed"],
    [
      '{"eventType":"Rendering Failure","mail":{"messageId":"m"},"failure":[]}',
      "failure is missing or malformed",
    ],
  ])("says why %s is invalid, without quoting it", (message, reason) => {
    expect(parseSesNotification(message)).toEqual({ kind: "invalid", reason });
  });

  test("takes a field of an unexpected type for absent, one that should be a list for a list of one, and keeps the rest", () => {
    const message = asMessage(
      sesEvent("Open", {
        mail: { source: 5, destination: "jane@example.com", tags: { a: "b" }, commonHeaders: [], new: 1 },
        detail: { timestamp: 5, ipAddress: {}, userAgent: null, score: 0.5 },
      }),
    );

    expect(eventOf(message)).toEqual({
      type: "Open",
      mail: {
        messageId: "message-1",
        timestamp: "2026-11-20T10:00:00.000Z",
        source: null,
        destination: ["jane@example.com"],
        tags: { a: ["b"] },
        commonHeaders: null,
        more: { source: 5, new: 1 },
      },
      detail: {
        timestamp: null,
        ipAddress: null,
        userAgent: null,
        more: { timestamp: 5, ipAddress: {}, score: 0.5 },
      },
    });
  });

  test("reads an event that has nothing but a type and a messageId", () => {
    expect(parseSesNotification('{"eventType":"Click","mail":{"messageId":"m"}}')).toEqual({
      kind: "event",
      event: { type: "Click", mail: { messageId: "m" }, detail: {} },
    });
  });

  test("replaces NUL and half surrogate pairs, which Postgres cannot store, in values and in keys", () => {
    const message =
      '{"eventType":"Click","mail":{"messageId":"m\\u0000","tags":{"k\\u0000":["\\ud800x"],"\\uDC00":["ok \\ud83d\\ude00"]}},' +
      '"click":{"link":"a\\u0000b\ud800","linkTags":{"\\uD83d":["v"]}}}';

    expect(eventOf(message)).toEqual({
      type: "Click",
      mail: { messageId: "m\ufffd", tags: { "k\ufffd": ["\ufffdx"], "\ufffd": ["ok 😀"] } },
      detail: { link: "a\ufffdb\ufffd", linkTags: { "\ufffd": ["v"] } },
    });
  });

  test("keeps an escaped backslash before u0000, which is no NUL", () => {
    const message = '{"eventType":"Reject","mail":{"messageId":"m"},"reject":{"reason":"\\\\u0000"}}';

    expect(eventOf(message).detail).toEqual({ reason: "\\u0000" });
  });
});

const awkwardText = fc.string({
  unit: fc.constantFrom("a", "@", ".", " ", "<", ">", '"', "\u0000", "\ud800", "\udc00", "😀", "é", "\n"),
});
const types = [
  "Send",
  "Delivery",
  "Bounce",
  "Complaint",
  "Reject",
  "Open",
  "Click",
  "Rendering Failure",
  "DeliveryDelay",
  "Subscription",
];
const address = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom("jane@example.com", "Jane <JANE@EXAMPLE.COM>", "a@ü.example") },
  { weight: 1, arbitrary: awkwardText },
);
const anything = fc.oneof(
  awkwardText,
  fc.jsonValue(),
  fc.dictionary(awkwardText, fc.array(awkwardText)),
  fc.constantFrom("2026-11-20T10:00:00.000Z", "2018-10-08T14:05:45 +0000", "Transient", "General", "delayed"),
);
/** Mostly what AWS sends, and now and then anything. */
const mostly = <T>(usual: fc.Arbitrary<T>) =>
  fc.oneof({ weight: 19, arbitrary: usual }, { weight: 1, arbitrary: anything });
const listed = mostly(
  fc.array(mostly(fc.record({ emailAddress: address, action: anything, status: anything })), {
    minLength: 1,
    maxLength: 3,
  }),
);
const detail = fc
  .record({
    recipients: mostly(fc.array(address)),
    bouncedRecipients: listed,
    complainedRecipients: listed,
    delayedRecipients: listed,
    others: fc.dictionary(
      fc.constantFrom(
        ...[
          "timestamp",
          "feedbackId",
          "bounceType",
          "bounceSubType",
          "userAgent",
          "link",
          "linkTags",
          "delayType",
        ],
        ...["smtpResponse", "newTopicPreferences", "contactList", "ipAddress", "reason", "__proto__"],
      ),
      anything,
    ),
  })
  .map(({ others, ...lists }) => ({ ...lists, ...others }));
const mail = fc.record(
  {
    messageId: mostly(fc.constant("m")),
    destination: mostly(fc.array(address, { minLength: 1, maxLength: 3 })),
    tags: anything,
    timestamp: anything,
    source: anything,
  },
  { requiredKeys: ["messageId", "destination"] },
);
const detailKeys = [
  ...["send", "delivery", "bounce", "complaint", "reject", "open", "click", "failure", "deliveryDelay"],
  "subscription",
];
const payload = fc
  .record({
    type: mostly(fc.constantFrom(...types)),
    formatKey: fc.constantFrom("eventType", "notificationType"),
    mail: mostly(mail),
    detail: mostly(detail),
  })
  .map(({ type, formatKey, mail: mailPart, detail: detailPart }) => ({
    [formatKey]: type,
    mail: mailPart,
    ...Object.fromEntries(detailKeys.map((key) => [key, detailPart])),
  }));

function isStorable(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed() && !value.includes("\u0000");
  if (value === null || typeof value !== "object") return true;
  return Object.entries(value).flat().every(isStorable);
}

describe("for whatever it is given", () => {
  test("parseSesNotification does not throw on any text or JSON value", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), awkwardText, fc.json({ stringUnit: "binary" })), (message) => {
        expect(["event", "ignored", "invalid"]).toContain(parseSesNotification(message).kind);
      }),
      { numRuns: atLength(100, 2_000) },
    );
  });

  test("readEvents reads all that parseSesNotification lets through, and gives storable events with ids", () => {
    let readings = 0;
    fc.assert(
      fc.property(payload, (json) => {
        const parsed = parseSesNotification(JSON.stringify(json));
        if (parsed.kind !== "event") return;
        const read = readEvents("project", parsed.event, publishedAt);
        if (read.kind === "invalid") return;
        readings++;
        for (const { event, recipient } of read.events) {
          expect(event.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
          expect(event.occurred_at.getTime()).toBeGreaterThan(Date.UTC(2000, 0, 1) - 1);
          expect(recipient.matched).toContain("@");
        }
        expect(isStorable(JSON.parse(JSON.stringify(read.events)))).toBe(true);
      }),
      { numRuns: atLength(100, 1_000) },
    );
    expect(readings).toBeGreaterThan(atLength(15, 300));
  });
});
