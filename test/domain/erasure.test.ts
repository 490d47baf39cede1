import { describe, expect, test } from "vitest";
import { erasedNotification, erasedWebhook, isPseudonym, pseudonymOf } from "../../src/domain/erasure.ts";
import { interpretNotification } from "../../src/domain/mail/interpret-notification.ts";
import { bridged } from "../support/eventbridge.ts";
import { asMessage, sesEvent } from "../support/ses.ts";

const jane = { address: "jane.doe@example.com", pseudonym: pseudonymOf("77") };
const sns_timestamp = new Date("2026-11-20T10:00:00.000Z");

function erased(message: string, person = jane): string | null {
  const body = JSON.stringify({ Type: "Notification", MessageId: "1", Message: message, Signature: "c2ln" });
  return erasedNotification("project", { body, sns_timestamp }, person);
}

test("a notification about the person alone is blanked, and is no event any more", () => {
  const body = erased(asMessage(sesEvent("Open", { to: ["Jane.DOE@example.com"] })));
  expect(JSON.parse(body ?? "")).toEqual({
    Type: "Notification",
    MessageId: "1",
    Message: '{"erased":true}',
  });
  expect(interpretNotification("project", body ?? "", sns_timestamp)).toMatchObject({ kind: "ignored" });
});

test("a notification about others is left as it is, to the letter", () => {
  expect(erased(asMessage(sesEvent("Open", { to: ["jane.doe@example.org"] })))).toBeNull();
  expect(
    erased(asMessage(sesEvent("Send", { to: ["xjane.doe@example.com", "joe@example.com"] }))),
  ).toBeNull();
});

const others = ["joe@example.com", "jane.doe@example.com"];

describe("in a notification about others too, the address gives way to the pseudonym", () => {
  test.each([
    ["jane.doe@example.com", "erased-77@erased.invalid"],
    ["JANE.Doe@EXAMPLE.com", "erased-77@erased.invalid"],
    ["Jane Doe <jane.doe@example.com>", "erased-77@erased.invalid"],
    ['"Doe, Jane" <jane.doe@example.com>', "erased-77@erased.invalid"],
    [
      "Joe <joe@example.com>, Jane Doe <jane.doe@example.com>",
      "Joe <joe@example.com>,erased-77@erased.invalid",
    ],
    ["jane.doe@example.com (Jane Doe)", "erased-77@erased.invalid"],
    ["'jane.doe@example.com'", "erased-77@erased.invalid"],
    ['rfc822; "jane.doe"@example.com.', "erased-77@erased.invalid"],
    ['550 "jane.doe"@example.com is unknown', "550 erased-77@erased.invalid is unknown"],
    ["550 5.1.1 <jane.doe@example.com>: unknown", "erased-77@erased.invalid: unknown"],
    ["Sent to jane.doe@example.com.", "Sent to erased-77@erased.invalid"],
    [
      "https://example.org/u?e=jane.doe%40example.com&x=1",
      "https://example.org/u?e=erased-77@erased.invalid&x=1",
    ],
    ["xjane.doe@example.com", "xjane.doe@example.com"],
    ["jane.doe@example.com.au", "jane.doe@example.com.au"],
  ])("%s", (written, left) => {
    const body = erased(asMessage(sesEvent("Send", { to: others, mail: { note: { deep: [written] } } })));
    expect(JSON.parse(JSON.parse(body ?? "").Message).mail).toMatchObject({
      destination: ["joe@example.com", "erased-77@erased.invalid"],
      note: { deep: [left] },
    });
  });

  test("also in another spelling of the domain, and in a message that is no JSON", () => {
    const juergen = { address: "jürgen@xn--mller-kva.example", pseudonym: pseudonymOf("78") };
    const body = erased(
      asMessage(sesEvent("Send", { to: ["Jürgen@müller.example", "joe@example.com"] })),
      juergen,
    );
    expect(JSON.parse(JSON.parse(body ?? "").Message).mail.destination).toEqual([
      "erased-78@erased.invalid",
      "joe@example.com",
    ]);
    expect(JSON.parse(erased("Hello jane.doe@example.com!") ?? "").Message).toBe(
      "Hello erased-77@erased.invalid!",
    );
  });
});

test("a long text without an address is read in no time to speak of", () => {
  const long = "x".repeat(200_000);
  const body = erased(asMessage(sesEvent("Send", { to: others, mail: { long, quoted: `"${long}` } })));
  expect(JSON.parse(JSON.parse(body ?? "").Message).mail.long).toBe(long);
});

describe("a webhook", () => {
  const at = "2026-11-20T10:00:00.000Z";
  const webhook = (recipient: string, timestamp = at, event_timestamp = at) =>
    JSON.stringify({
      event: "email.open",
      timestamp,
      project_id: "p",
      data: { recipient, event_timestamp },
    });
  const later = "2026-11-20T10:00:00.001Z";

  test.each([
    ["told and happened before", at, at],
    ["told before of what lies ahead", at, later],
    ["told afterwards of what happened before", later, at],
  ])("of the person, %s, keeps its head", (_when, timestamp, eventTimestamp) => {
    const body = webhook("Jane.Doe@example.com", timestamp, eventTimestamp);
    expect(JSON.parse(erasedWebhook(body, jane, sns_timestamp) ?? "")).toEqual({
      event: "email.open",
      timestamp,
      project_id: "p",
      data: { erased: true },
    });
  });

  test("of somebody else, or of what happened and was told later, stays", () => {
    expect(erasedWebhook(webhook("xjane.doe@example.com"), jane, sns_timestamp)).toBeNull();
    expect(erasedWebhook(webhook("jane.doe@example.com", later, later), jane, sns_timestamp)).toBeNull();
  });
});

test("a pseudonym is told from an address", () => {
  expect([isPseudonym(jane.pseudonym), isPseudonym("erased@erased.invalid")]).toEqual([true, true]);
  expect([isPseudonym("erased-77@example.com"), isPseudonym("x@sub.erased.invalid")]).toEqual([false, false]);
});

describe("in the envelope of EventBridge", () => {
  test.each([
    ["an object", (detail: unknown) => detail],
    ["JSON text", (detail: unknown) => JSON.stringify(detail)],
  ])("whose detail is %s a person is erased as elsewhere", (_form, spelled) => {
    const told = (to: string[]) => {
      const detail = sesEvent("Send", { to });
      return asMessage(bridged(detail, { detail: spelled(detail) }));
    };
    const together = erased(told(["joe@example.com", '"Doe, Jane" <jane.doe@example.com>']));
    const read = interpretNotification("project", together ?? "", sns_timestamp);

    expect(JSON.parse(erased(told(["jane.doe@example.com"])) ?? "").Message).toBe('{"erased":true}');
    expect(together).not.toMatch(/jane/i);
    expect(read).toMatchObject({ events: [{ facts: { recipient: "joe@example.com" } }, {}] });
  });
});
