import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/domain/address.ts";
import { naturalKey, touchedActivities } from "../../../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import { mailFacts } from "../../../src/domain/mail/mail-facts.ts";
import { oneEvent } from "./activity-histories.ts";

function told(
  event: EmailEvent,
  { projectId = "p", messageId = "m", to = "jane@example.com", subject = "" } = {},
) {
  const recipient = parseAddress(to);
  if (recipient === null) throw new Error("no address");
  const mail = { messageId, ...(subject ? { commonHeaders: { subject } } : {}) };
  return { projectId, facts: mailFacts(mail, recipient, true), event };
}

describe("touchedActivities", () => {
  const [sent, delivered, opened] = [oneEvent("sent", 0), oneEvent("delivered", 1), oneEvent("opened", 2)];

  test("gather events by project, email and recipient, in order of arrival", () => {
    const touched = touchedActivities([
      told(delivered),
      told(sent, { to: "mary@example.com" }),
      told(sent, { to: "JANE@example.com" }),
      told(sent, { messageId: "m2" }),
      told(sent, { projectId: "q" }),
    ]);

    expect(
      touched.map(({ projectId, facts, events }) => [projectId, facts.message_id, facts.recipient, events]),
    ).toEqual([
      ["p", "m", "jane@example.com", [delivered, sent]],
      ["p", "m", "mary@example.com", [sent]],
      ["p", "m2", "jane@example.com", [sent]],
      ["q", "m", "jane@example.com", [sent]],
    ]);
  });

  test("hold an event that the batch holds twice once", () => {
    expect(
      touchedActivities([told(opened), told(sent), told({ ...opened })]).map(({ events }) => events),
    ).toEqual([[opened, sent]]);
  });

  test("put together what the two formats tell of one event, in either order", () => {
    const bounce = { bounce_type: "Transient", bounce_subtype: "General" };
    const one: EmailEvent = { ...oneEvent("bounced", 0), detail: bounce };
    const other: EmailEvent = { ...one, detail: { ...bounce, status_code: "4.0.0" } };

    expect(touchedActivities([told(one), told(other)])[0]?.events).toEqual([other]);
    expect(touchedActivities([told(other), told(one)])[0]?.events).toEqual([other]);
  });

  test("put together the facts that each notification tells", () => {
    const [one] = touchedActivities([told(sent), told(opened, { subject: "Hello" }), told(delivered)]);

    expect(one?.facts).toEqual(told(sent, { subject: "Hello" }).facts);
  });

  test("of nothing are none", () => {
    expect(touchedActivities([])).toEqual([]);
  });
});

test("natural keys differ wherever the parts are cut", () => {
  const keys = [
    ["a", "b", "c"],
    ["a", "bc", ""],
    ['a","b', "c", ""],
  ].map(([project_id = "", message_id = "", recipient = ""]) =>
    naturalKey({ project_id, message_id, recipient }),
  );

  expect(new Set(keys).size).toBe(3);
});
