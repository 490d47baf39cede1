import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type EmailEvent, type ReadEvents, readEvents } from "../../src/domain/email-event.ts";
import { parseSesNotification } from "../../src/domain/ses-notification.ts";
import { asMessage, type SesPayload, sesEvent, timeAfter } from "../support/ses.ts";
import { bounceFixtures, type ExpectedReading, publishedAt } from "./ses-fixtures.ts";
import { otherFixtures } from "./ses-fixtures-others.ts";

const directory = new URL("../fixtures/ses/", import.meta.url);
const files = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(".json", ""));
const expected: Record<string, ExpectedReading> = { ...bounceFixtures, ...otherFixtures };

function read(payload: SesPayload, at = publishedAt, projectId = "project"): ReadEvents {
  const parsed = parseSesNotification(asMessage(payload));
  if (parsed.kind !== "event") throw new Error(`not an event: ${JSON.stringify(parsed)}`);
  return readEvents(projectId, parsed.event, at);
}

function only(payload: SesPayload, at = publishedAt, projectId = "project"): EmailEvent {
  const reading = read(payload, at, projectId);
  if (reading.kind !== "events" || reading.events.length !== 1) {
    throw new Error(`not one event: ${JSON.stringify(reading)}`);
  }
  return (reading.events[0] as { event: EmailEvent }).event;
}

describe("the fixtures", () => {
  test("are 47, and each has its expectation", () => {
    expect(files).toHaveLength(47);
    expect(Object.keys(expected).toSorted()).toEqual(files.toSorted());
  });

  test.each(files)("%s is read as its expectation says", (name) => {
    const json: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, directory), "utf8"));
    const parsed = parseSesNotification(typeof json === "string" ? json : asMessage(json));

    expect(
      parsed.kind === "event" ? summary(readEvents("project", parsed.event, publishedAt)) : parsed,
    ).toEqual(expected[name]);
  });
});

test.each([
  ["event-delivery", { remoteMtaIp: "203.0.113.26" }],
  ["event-bounce-permanent-general", { remoteMtaIp: "203.0.113.26" }],
  ["event-complaint-abuse", { arrivalDate: "2026-03-25T21:13:23.000-05:00" }],
  ["event-open", undefined],
  ["event-send", undefined],
])("of %s the fields without a name are kept as %j", (name, more) => {
  const json = JSON.parse(readFileSync(new URL(`${name}.json`, directory), "utf8"));

  expect(only(json).detail.more).toEqual(more);
});

function summary(reading: ReadEvents) {
  if (reading.kind === "invalid") return reading;
  const events = reading.events.map(({ recipient, isPrimary, event }) => {
    const { more: _, ...detail } = event.detail;
    return [event.type, recipient.matched, isPrimary, event.occurred_at.toISOString(), detail];
  });
  return { kind: "events", events };
}

function touched(payload: SesPayload) {
  const reading = read(payload);
  if (reading.kind === "invalid") return reading;
  return reading.events.map(({ recipient, isPrimary, event }) => [
    recipient.matched,
    isPrimary,
    event.detail.recipient_certain,
  ]);
}

describe("the recipients of an event", () => {
  const three = ["jane@example.com", "Mary <MARY@example.com>", "richard@example.net"];

  test.each(["Send", "Reject", "Rendering Failure"])("%s concerns every destination", (type) => {
    expect(touched(sesEvent(type, { to: three }))).toEqual([
      ["jane@example.com", true, undefined],
      ["mary@example.com", false, undefined],
      ["richard@example.net", false, undefined],
    ]);
  });

  test.each(["Open", "Click", "Subscription"])(
    "%s of several recipients goes to the primary, uncertain",
    (type) => {
      expect(touched(sesEvent(type, { to: three }))).toEqual([["jane@example.com", true, false]]);
    },
  );

  test("without a destination the first listed recipient alone is primary", () => {
    const payload = sesEvent("Bounce", {
      to: ["a@example.com", "b@example.com"],
      mail: { destination: null },
    });

    expect(touched(payload)).toEqual([
      ["a@example.com", true, undefined],
      ["b@example.com", false, undefined],
    ]);
  });

  test.each([
    ["Send", { to: [] }],
    ["Send", { to: ["undisclosed-recipients"] }],
    ["Open", { mail: { destination: null } }],
    ["Send", { to: ["jane doe@example.com", "jane@"] }],
    [
      "Bounce",
      { mail: { destination: null }, detail: { bouncedRecipients: [{}, { emailAddress: "jane" }] } },
    ],
  ])("%s with %j is invalid: no recipient", (type, options) => {
    expect(read(sesEvent(type, options))).toEqual({
      kind: "invalid",
      reason: `${type}: no recipient that is an email address`,
    });
  });
});

describe("an automatic reply", () => {
  const bounce = (recipient: object, type = "Transient", subtype = "General") =>
    only(
      sesEvent("Bounce", {
        detail: {
          bounceType: type,
          bounceSubType: subtype,
          bouncedRecipients: [{ emailAddress: "jane@example.com", ...recipient }],
        },
      }),
    ).detail.auto_reply;

  test("is a Transient/General bounce without any delivery status", () => {
    expect(bounce({})).toBe(true);
    expect(bounce({ action: "failed" })).toBeUndefined();
    expect(bounce({ status: "4.0.0" })).toBeUndefined();
    expect(bounce({ diagnosticCode: "smtp; 450" })).toBeUndefined();
    expect(bounce({}, "Transient", "MailboxFull")).toBeUndefined();
    expect(bounce({}, "Permanent")).toBeUndefined();
    expect(bounce({}, "Undetermined")).toBeUndefined();
  });
});

describe("the time of an event", () => {
  test("is that of the detail, not of the mail", () => {
    expect(only(sesEvent("Delivery", { after: 90 })).occurred_at.toISOString()).toBe(timeAfter(90));
  });

  test.each(["2026-11-20T10:00:45 +0000", "2026-11-20T12:00:45 +02:00", "2026-11-20T10:00:45Z"])(
    "is read from the form %s",
    (timestamp) => {
      expect(only(sesEvent("Open", { detail: { timestamp } })).occurred_at.toISOString()).toBe(timeAfter(45));
    },
  );

  test.each([
    undefined,
    null,
    "",
    "soon",
    "yesterday 3",
    5,
    "1999-12-31T23:59:59.999Z",
    "2100-01-01T00:00:00.000Z",
  ])("is the SNS timestamp when the detail has %j", (timestamp) => {
    expect(only(sesEvent("Open", { detail: { timestamp } })).occurred_at).toEqual(publishedAt);
  });

  test.each(["Bounce", "Complaint"])(
    "of a %s is its own, else the one inside its feedbackId, else the SNS timestamp",
    (type) => {
      const time = (timestamp: string | null, feedbackId?: string) =>
        only(
          sesEvent(type, { messageId: "0100019d27eaf07e-948fa8de", detail: { timestamp, feedbackId } }),
        ).occurred_at.toISOString();
      const feedbackId = "0100019d27eaf33a-2b9b6406-a61c-4b8f-aed7-7385c83e8867-000000";

      expect(time("2026-03-26T02:14:00Z", feedbackId)).toBe("2026-03-26T02:14:00.000Z");
      expect(time(null, feedbackId)).toBe("2026-03-26T02:13:22.362Z");
      expect(time("soon", feedbackId)).toBe("2026-03-26T02:13:22.362Z");
      expect(time(null, "f-1")).toBe(publishedAt.toISOString());
      expect(time(null)).toBe(publishedAt.toISOString());
    },
  );

  test("of a send is the mail's, else the one inside the messageId, else the SNS timestamp", () => {
    const send = (timestamp: string | null, messageId: string) =>
      only(sesEvent("Send", { messageId, mail: { timestamp } })).occurred_at.toISOString();

    expect(send("2026-03-26T02:13:21Z", "0100019d27eaf07e-948fa8de")).toBe("2026-03-26T02:13:21.000Z");
    expect(send("unknown", "0100019d27eaf07e-948fa8de")).toBe("2026-03-26T02:13:21.662Z");
    expect(send(null, "m")).toBe(publishedAt.toISOString());
  });
});

describe("the id of an event", () => {
  const later = new Date("2027-11-20T12:00:00.000Z");
  const click = (detail: object, at = publishedAt, project = "project") =>
    only(
      sesEvent("Click", {
        detail: { ipAddress: "192.0.2.1", userAgent: "UA", link: "https://a/", ...detail },
      }),
      at,
      project,
    ).id;

  test.each([
    "Send",
    "Delivery",
    "Bounce",
    "DeliveryDelay",
    "Complaint",
    "Reject",
    "Rendering Failure",
    "Open",
    "Click",
    "Subscription",
  ])("%s posted again a year later has the same id", (type) => {
    expect(only(sesEvent(type), later).id).toBe(only(sesEvent(type)).id);
  });

  test("is the same through both formats, whatever the address's case and the other fields", () => {
    const { eventType, bounce, mail } = sesEvent("Bounce", {
      detail: { feedbackId: "f-1", reportingMTA: "mta" },
    });
    const feedback = {
      notificationType: eventType,
      bounce: {
        ...(bounce as object),
        bouncedRecipients: [{ emailAddress: "JANE@example.com", status: "5.1.1" }],
      },
      mail: { ...mail, source: "other@example.org", timestamp: "2026-11-20T10:00:00 +0000" },
    };

    expect(only(feedback, later).id).toBe(only({ eventType, bounce, mail }).id);
  });

  test.each(["Delivery", "Bounce", "Complaint", "DeliveryDelay", "Open", "Click", "Subscription"])(
    "of %s is the same however its time is spelled, and differs with the millisecond",
    (type) => {
      const at = (timestamp: string) => only(sesEvent(type, { detail: { timestamp } }), later).id;

      expect([
        at("2026-11-20T10:00:45Z"),
        at("2026-11-20T10:00:45.0Z"),
        at("2026-11-20T10:00:45 +0000"),
        at("2026-11-20T12:00:45.000+02:00"),
      ]).toEqual(Array(4).fill(at("2026-11-20T10:00:45.000Z")));
      expect(at("2026-11-20T10:00:45.001Z")).not.toBe(at("2026-11-20T10:00:45.000Z"));
    },
  );

  test.each(["Bounce", "Complaint"])(
    "of a %s without a time is the same whenever it is posted, by the time of its feedbackId",
    (type) => {
      const detail = { timestamp: null, feedbackId: "0100019d27eaf07e-948fa8de-000000" };

      expect(only(sesEvent(type, { detail }), later).id).toBe(only(sesEvent(type, { detail })).id);
    },
  );

  test("differs with time, address, user agent, link, recipient, email, type and project", () => {
    const ids = [
      click({}),
      click({ timestamp: timeAfter(1) }),
      click({ ipAddress: "192.0.2.2" }),
      click({ userAgent: "UB" }),
      click({ link: "https://b/" }),
      click({}, publishedAt, "other"),
      only(
        sesEvent("Click", {
          messageId: "message-2",
          detail: { ipAddress: "192.0.2.1", userAgent: "UA", link: "https://a/" },
        }),
      ).id,
      only(
        sesEvent("Click", {
          to: ["mary@example.com"],
          detail: { ipAddress: "192.0.2.1", userAgent: "UA", link: "https://a/" },
        }),
      ).id,
      only(sesEvent("Open", { detail: { ipAddress: "192.0.2.1", userAgent: "UA" } })).id,
    ];

    expect(new Set(ids).size).toBe(ids.length);
  });

  test.each([
    ["Bounce", { feedbackId: "f-2" }],
    ["Complaint", { feedbackId: "f-2" }],
    ["Delivery", { smtpResponse: "250 2" }],
    ["DeliveryDelay", { delayType: "IPFailure" }],
  ])("of %s differs with %j", (type, detail) => {
    expect(only(sesEvent(type, { detail })).id).not.toBe(only(sesEvent(type)).id);
  });
});
