import { describe, expect, test } from "vitest";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { suppressionOf } from "../../../src/domain/mail/suppression.ts";
import { bounce, bounceNames, causes, delay, explanation, strangeNames } from "./explained.ts";

describe("the explanation of a bounce", () => {
  test.each([
    [
      "Permanent",
      "NoEmail",
      "The address does not exist; Fanmail suppresses it, so look for a typing error or take it off your lists.",
    ],
    [
      "Permanent",
      "OnAccountSuppressionList",
      "SES did not send the email because an earlier bounce or complaint put the address on your SES account's suppression list; if it is valid again, remove it there and from Fanmail's list.",
    ],
    [
      "Transient",
      "MailboxFull",
      "The recipient's mailbox is full and SES has stopped trying; send again later, and take the address off your lists if it stays full.",
    ],
    [
      "Undetermined",
      "Undetermined",
      "The email bounced and SES cannot tell why; you can send again later, and check the address if it bounces again.",
    ],
  ])("that is %s and %s tells what to do", (type, subtype, sentence) => {
    expect(bounce(type, subtype)).toBe(sentence);
  });

  test.each(bounceNames)("that is %s and %s says that Fanmail suppresses when it does", (type, subtype) => {
    const detail = { bounce_type: type, bounce_subtype: subtype };
    const event = { id: "an-id", type: "bounced", occurred_at: new Date(0), detail } as const;
    const saysSo = /Fanmail suppresses|Fanmail's list/.test(bounce(type, subtype) ?? "");
    expect(saysSo).toBe(suppressionOf(event, false) !== null);
  });

  test.each([
    ["Permanent", /bounced for good/],
    ["Transient", /may pass/],
    ["Undetermined", /no definite reason/],
  ])("that is %s without a known subtype is that of its type", (type, words) => {
    const withoutSubtype = explanation("bounced", { bounce_type: type });
    expect(withoutSubtype).toMatch(words);
    expect(strangeNames.map((name) => bounce(type, name))).toEqual(strangeNames.map(() => withoutSubtype));
  });

  test("of a type that is not known, or none, is a general one", () => {
    const general = explanation("bounced");
    expect(general).toMatch(/does not know the kind of bounce/);
    expect(strangeNames.map((name) => bounce(name, "General"))).toEqual(strangeNames.map(() => general));
  });

  test.each<EventDetail>([
    { recipient_certain: false, recipient_listed: false },
    { reported_address: "other@example.org" },
  ])("with %j is not said to suppress, as it does not", (more) => {
    const detail = { bounce_type: "Permanent", bounce_subtype: "General", status_code: "5.1.1", ...more };
    const event = { id: "an-id", type: "bounced", occurred_at: new Date(0), detail } as const;

    expect(suppressionOf(event, false)).toBeNull();
    expect(explanation("bounced", detail)).toMatch(/; .*Fanmail does not suppress/);
    expect(explanation("complained", more)).toMatch(/; Fanmail does not suppress/);
  });

  describe.each<[string, string]>([
    ["Transient", "General"],
    ["Transient", "NewInSes"],
    ["Undetermined", "Undetermined"],
  ])("that is %s and %s tells what the receiving server said", (type, subtype) => {
    test.each(causes)("%s of %s, and never that all may be well", (said, code) => {
      const sentence = bounce(type, subtype, code);

      expect(sentence).toMatch(said);
      expect(sentence).toMatch(/; Fanmail does not suppress the address, but /);
      expect(sentence).not.toMatch(/may be fine|nothing to do/);
    });
  });

  test.each<[code: string, like: string]>([
    ["5.1.2", "5.4.4"],
    ["5.1.10", "5.4.4"],
    ["5.4.310", "5.4.4"],
    ["5.1.0", "5.1.1"],
    ["5.1.3", "5.1.1"],
    ["5.4.1", "5.1.1"],
    ["5.2.0", "5.2.1"],
    ["4.2.2", "5.2.2"],
    ["5.2.3", "5.3.4"],
    ["5.7.23", "5.7.26"],
    ["5.7.606", "5.7.1"],
    ["4.7.0", "4.7.1"],
    ["4.4.2", "4.4.7"],
    ["5.5.0", "5.3.0"],
    ["5.0.0", "5.3.0"],
  ])("with the code %s reads as with %s", (code, like) => {
    expect(bounce("Transient", "General", code)).toBe(bounce("Transient", "General", like));
  });

  test.each<[diagnostic: string, status: string | undefined, like: string | undefined]>([
    ["smtp; 550 5.4.4 Invalid domain", undefined, "5.4.4"],
    ["smtp; 550 5.1.1 user unknown", "5.0.0", "5.1.1"],
    ["smtp; 550 5.1.1 user unknown", "5.7.1", "5.7.1"],
    ["smtp; 550 user unknown", undefined, "5.3.0"],
    ["smtp; 552 quota", undefined, "5.2.2"],
    ["smtp; 553 no such name", undefined, "5.1.1"],
    ["smtp; 451 try later", undefined, undefined],
    ["smtp; 550-5.7.1 [203.0.113.5] not welcome", undefined, "5.7.1"],
    ["connection to 5.1.1.7 lost", undefined, undefined],
    ["smtp; nothing", "nonsense", undefined],
  ])("reads the diagnostic %j beside the status %s", (diagnostic_code, status, like) => {
    const detail = { bounce_type: "Transient", bounce_subtype: "General", diagnostic_code };
    const told = explanation("bounced", {
      ...detail,
      ...(status === undefined ? {} : { status_code: status }),
    });

    expect(told).toBe(bounce("Transient", "General", like));
  });

  test("whose subtype says it already does not depend on the code", () => {
    const named = bounceNames.filter(([type, subtype]) => subtype !== "General" && type !== "Undetermined");
    for (const [type, subtype] of named) expect(bounce(type, subtype, "5.4.4")).toBe(bounce(type, subtype));
  });

  test("that is an automatic reply says that there is nothing to do", () => {
    const detail = { bounce_type: "Transient", bounce_subtype: "General", auto_reply: true } as const;
    expect(explanation("bounced", detail)).toBe(
      "A mail program answered by itself, for example with an out-of-office note; the email was not refused, and there is nothing to do.",
    );
  });
});

describe("the explanation of a delay", () => {
  test("tells who holds the email up", () => {
    expect(delay("IPFailure")).toBe(
      "The recipient's mail provider blocks or slows the IP address that SES sends from; SES keeps trying, so send more slowly and ask AWS if it lasts.",
    );
  });

  test("is by its type when it has one, whatever the action", () => {
    expect(explanation("delayed", { delay_type: "IPFailure", action: "delayed" })).toBe(delay("IPFailure"));
  });

  test("of a type that is not known, or none, is a general one", () => {
    const general = explanation("delayed");
    expect(general).toMatch(/does not know the reason/);
    expect(strangeNames.map(delay)).toEqual(strangeNames.map(() => general));
  });

  test.each(["delayed", "Delayed"])(
    "inside a bounce with the action %s is not that of the bounce",
    (action) => {
      const detail = { bounce_type: "Permanent", bounce_subtype: "General", action };
      expect(explanation("delayed", detail)).toMatch(/late and not lost/);
    },
  );
});
