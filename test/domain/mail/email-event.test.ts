import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type EmailEvent, type ReadEvents, readEvents } from "../../../src/domain/mail/email-event.ts";
import { parseSesNotification } from "../../../src/domain/mail/ses-notification.ts";
import { asMessage, type SesPayload, sesEvent } from "../../support/ses.ts";
import { bounceFixtures, type ExpectedReading, publishedAt } from "./ses-fixtures.ts";
import { otherFixtures } from "./ses-fixtures-others.ts";

const directory = new URL("../../fixtures/ses/", import.meta.url);
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

test.each([
  ["in the message, its mail and its detail", { top: 1 }, { own: 2 }, {}],
  ["in the message", { top: 1 }, {}, {}],
  ["in the mail", {}, { own: 2 }, {}],
  ["in the entry", {}, {}, { entry: 4 }],
  ["everywhere", { top: 1, same: "top" }, { own: 2, same: "own" }, { entry: 4, same: "entry" }],
])("fields without a name are kept: %s", (_where, ofMessage, ofMail, ofEntry) => {
  const named = (fields: object) =>
    Object.fromEntries(Object.entries(fields).map(([n, v]) => [`mail.${n}`, v]));
  for (const ofDetail of [{}, { inner: 3 }, { inner: 3, same: "inner" }]) {
    const bouncedRecipients = [{ emailAddress: "jane@example.com", ...ofEntry }];
    const bounce = sesEvent("Bounce", { mail: ofMail, detail: { ...ofDetail, bouncedRecipients } });
    const expected = { ...ofMessage, ...named(ofMail), ...ofDetail, ...ofEntry };

    expect(only({ ...bounce, ...ofMessage }).detail.more).toEqual(expected);
  }
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

describe("what SES thinks of an open or click", () => {
  const label = (type: "Open" | "Click", isBotEvent: unknown) =>
    only(sesEvent(type, { detail: { isBotEvent } })).detail.is_bot_event;

  test.each(["Likely", "Unlikely", "likely", "Perhaps"])("is kept as it is told: %s", (told) => {
    expect([label("Open", told), label("Click", told)]).toEqual([told, told]);
  });

  test.each([undefined, null, true, 1])("is unknown when it is %j", (told) => {
    expect([label("Open", told), label("Click", told)]).toEqual([undefined, undefined]);
  });
});
