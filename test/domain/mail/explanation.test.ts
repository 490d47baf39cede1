import { describe, expect, test } from "vitest";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { type EmailEventType, emailEventTypes } from "../../../src/domain/mail/event-names.ts";
import { explain } from "../../../src/domain/mail/explanation.ts";
import { suppressionOf } from "../../../src/domain/mail/suppression.ts";

/** From the facts page, as SES spells them. */
const bounceNames: [type: string, subtype: string][] = [
  ["Undetermined", "Undetermined"],
  ["Permanent", "General"],
  ["Permanent", "NoEmail"],
  ["Permanent", "Suppressed"],
  ["Permanent", "OnAccountSuppressionList"],
  ["Permanent", "OnTenantSuppressionList"],
  ["Permanent", "EmailValidationSuppressed"],
  ["Permanent", "UnsubscribedRecipient"],
  ["Transient", "General"],
  ["Transient", "MailboxFull"],
  ["Transient", "MessageTooLarge"],
  ["Transient", "CustomTimeoutExceeded"],
  ["Transient", "ContentRejected"],
  ["Transient", "AttachmentRejected"],
];
const delayNames = [
  "InternalFailure",
  "General",
  "MailboxFull",
  "SpamDetected",
  "RecipientServerError",
  "IPFailure",
  "TransientCommunicationFailure",
  "BYOIPHostNameLookupUnavailable",
  "Undetermined",
  "SendingDeferral",
];
const complaintNames = ["abuse", "auth-failure", "fraud", "not-spam", "other", "virus"];
const machineNames = ["aws", "delivery", "prefetch", "agent", "asset"] as const;

/** What the receiving server says, by the code with which it says so. */
const causes: [said: RegExp, code: string][] = [
  [/domain of the address cannot be found/, "5.4.4"],
  [/says that the address does not exist/, "5.1.1"],
  [/mailbox is disabled/, "5.2.1"],
  [/mailbox, or the server, is full/, "5.2.2"],
  [/too large/, "5.3.4"],
  [/could not verify the sender/, "5.7.26"],
  [/as spam or against its policy/, "5.7.1"],
  [/refused the content/, "5.6.0"],
  [/put the email off/, "4.7.1"],
  [/could not be reached/, "4.4.7"],
  [/refused the email for good/, "5.3.0"],
];

/** Names that every object answers to, and one that SES does not have yet. */
const strangeNames = ["constructor", "__proto__", "toString", "NewInSes"];

const uncertain = { recipient_certain: false } as const;

function explanation(type: EmailEventType, detail: EventDetail = {}): string | null {
  return explain({ type, detail, discarded: null });
}

function bounce(bounce_type: string, bounce_subtype: string, status_code?: string): string | null {
  const status = status_code === undefined ? {} : { status_code };
  return explanation("bounced", { bounce_type, bounce_subtype, ...status });
}

function delay(delay_type: string): string | null {
  return explanation("delayed", { delay_type });
}

function complaint(complaint_feedback_type: string, more: EventDetail = {}): string | null {
  return explanation("complained", { complaint_feedback_type, ...more });
}

function discard(discarded: string, detail: EventDetail = {}): string | null {
  return explain({ type: "opened", detail, discarded });
}

/** Every sentence there is. */
const sentences = [
  ...bounceNames.map(([type, subtype]) => bounce(type, subtype)),
  ...["Permanent", "Transient", "Undetermined", "NewInSes"].map((type) => bounce(type, "NewInSes")),
  explanation("bounced", { bounce_type: "Transient", bounce_subtype: "General", auto_reply: true }),
  ...delayNames.map(delay),
  delay("NewInSes"),
  explanation("delayed", { action: "delayed" }),
  ...[{}, uncertain].flatMap((certainty) => [
    ...[...complaintNames, "NewInSes"].map((name) => complaint(name, certainty)),
    explanation("complained", certainty),
    explanation("complained", { complaint_subtype: "OnAccountSuppressionList", ...certainty }),
  ]),
  explanation("complained", { complaint_subtype: "OnTenantSuppressionList" }),
  explanation("bounced", { ...uncertain, recipient_listed: false }),
  explanation("bounced", { reported_address: "other@example.org" }),
  ...[...complaintNames, "NewInSes"].map((name) =>
    complaint(name, { reported_address: "other@example.org" }),
  ),
  ...causes.map(([, code]) => bounce("Transient", "General", code)),
  // A server that refuses for good without a reason says no more than the type.
  ...causes.slice(0, -1).map(([, code]) => bounce("Permanent", "General", code)),
  explanation("rejected", { reason: "Bad content" }),
  explanation("rejected"),
  explanation("rendering_failed", { template_name: "a-name-of-64-characters".padEnd(64, "-") }),
  explanation("rendering_failed"),
  explanation("suppressed"),
  explanation("opened", uncertain),
  explanation("clicked", uncertain),
  explanation("subscription_changed", uncertain),
  discard("open_window"),
  discard("repeat"),
  ...machineNames.map((machine) => discard("machine", { machine })),
  discard("machine"),
  discard("new_reason"),
];

describe("an explanation", () => {
  test.each(sentences)("is one sentence of no more than 220 characters: %s", (sentence) => {
    expect(sentence).toMatch(/^[A-Z][^.!?:\n]{20,218}\.$/);
  });

  test("is not the same for any two things that are told apart", () => {
    expect(sentences.filter((sentence, index) => sentences.indexOf(sentence) !== index)).toEqual([]);
  });

  test.each<EmailEventType>(["sent", "delivered", "opened", "clicked", "subscription_changed"])(
    "is not needed for %s",
    (type) => {
      expect(explanation(type)).toBeNull();
    },
  );

  test("exists for every other type, even when SES tells nothing about it", () => {
    expect(emailEventTypes.filter((type) => explanation(type) !== null)).toEqual([
      "delayed",
      "bounced",
      "complained",
      "rejected",
      "rendering_failed",
      "suppressed",
    ]);
  });
});

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

describe("the explanation of a complaint", () => {
  test("that is certain says that the address is suppressed", () => {
    expect(complaint("abuse")).toBe(
      "The recipient or their mail provider reported the email as spam; Fanmail suppresses the address, and you should write only to people who asked you to.",
    );
  });

  test("that may be another recipient's says that the address is not suppressed", () => {
    expect(complaint("abuse", uncertain)).toBe(
      "One of several recipients at the domain, who may have been this one, reported the email as spam; Fanmail does not suppress the address, but you should write only to people who asked you to.",
    );
  });

  test.each(complaintNames.flatMap((name) => [[name, {}] as const, [name, uncertain] as const]))(
    "of %s with %j says that Fanmail suppresses when it does",
    (name, certainty) => {
      const detail = { complaint_feedback_type: name, ...certainty };
      const event = { id: "an-id", type: "complained", occurred_at: new Date(0), detail } as const;
      const saysSo = /Fanmail suppresses/.test(complaint(name, certainty) ?? "");
      expect(saysSo).toBe(suppressionOf(event, false) !== null);
    },
  );

  test("without a type says that the provider does not tell", () => {
    expect(explanation("complained")).toMatch(/complained, and the provider does not say why;/);
  });

  test("of a type that is not known is a general one", () => {
    const general = complaint("NewInSes");
    expect(general).toMatch(/a reason that Fanmail does not know/);
    expect(strangeNames.map((name) => complaint(name))).toEqual(strangeNames.map(() => general));
  });

  test("that is the contrary of one says how to lift a suppression", () => {
    expect(complaint("not-spam")).toBe(
      "The recipient or their mail provider reported that the email is not spam; if an earlier complaint has suppressed the address, take it off Fanmail's suppression list and off that of SES.",
    );
  });

  test("that SES raises itself tells of the earlier one, whatever the type", () => {
    const subtype = { complaint_subtype: "OnAccountSuppressionList" };
    expect(complaint("abuse", subtype)).toBe(
      "SES did not send the email because the recipient complained about an earlier one; if they ask for your emails again, remove them from your SES account's suppression list and from Fanmail's list.",
    );
    expect(complaint("abuse", { ...subtype, ...uncertain })).toMatch(/who may have been this one,/);
  });
});

describe("the explanation of an email that was not sent", () => {
  test("for a virus says so", () => {
    expect(explanation("rejected", { reason: "Bad content" })).toBe(
      "SES found a virus in the email and did not send it; remove the infected attachment and send it again.",
    );
  });

  test.each([...strangeNames, undefined])("for the reason %s does not speak of a virus", (reason) => {
    expect(explanation("rejected", reason === undefined ? {} : { reason })).toMatch(/^SES refused to send/);
  });

  test("for its template names the template when it is known", () => {
    const rest =
      "could not be filled and the email was not sent; give a value to each of its variables and send again.";
    expect(explanation("rendering_failed", { template_name: "welcome" })).toBe(
      `The template welcome ${rest}`,
    );
    expect(explanation("rendering_failed", { template_name: "" })).toBe(`The email's template ${rest}`);
    expect(explanation("rendering_failed")).toBe(`The email's template ${rest}`);
  });

  test("for the suppression list says so", () => {
    expect(explanation("suppressed")).toMatch(
      /^The email was held back before sending because the address is on/,
    );
  });
});

describe("the explanation of what one of several recipients did", () => {
  test.each<[EmailEventType, string]>([
    ["opened", "opened the email"],
    ["clicked", "clicked"],
    ["subscription_changed", "changed a subscription"],
  ])("of the type %s says that it is not certain who did", (type, did) => {
    expect(explanation(type, uncertain)).toBe(
      `SES does not say which of the several recipients ${did}; it is recorded with the first of them, so do not rely on who it was.`,
    );
  });
});

describe("the explanation of a discarded event", () => {
  test("within the open window names no length, which a project can set", () => {
    expect(discard("open_window", { kept: "an-id" })).toBe(
      "This open does not count because another open of the same email within the open window does; there is nothing to do.",
    );
  });

  test.each([
    ["aws", /^SES itself says that a machine/],
    ["prefetch", /Apple Mail Privacy Protection fetched the images, whether or not anybody read/],
    ["agent", /user agent is that of a known bot or scanner/],
    ["delivery", /before the delivery or within two seconds after it/],
    ["asset", /style sheet or font that the email loads/],
  ] as const)("that is a machine's because of %s says how that shows", (machine, words) => {
    expect(discard("machine", { machine })).toMatch(words);
  });

  test("that is a machine's without a sign says only that", () => {
    expect(discard("machine")).toMatch(/doing of a machine/);
  });

  test("for a reason that is not known is a general one, whatever the machine", () => {
    const general = discard("new_reason", { machine: "agent" });
    expect(general).toMatch(/^Fanmail has discarded this event/);
    expect(strangeNames.map((reason) => discard(reason))).toEqual(strangeNames.map(() => general));
  });

  test.each(emailEventTypes)("does not depend on its type, such as %s", (type) => {
    const detail = { machine: "agent", ...uncertain } as const;
    expect(explain({ type, detail, discarded: "machine" })).toBe(discard("machine", detail));
  });
});
