import { describe, expect, test } from "vitest";
import { type EmailEventType, emailEventTypes } from "../../../src/domain/mail/event-names.ts";
import { explain } from "../../../src/domain/mail/explanation.ts";
import { suppressionOf } from "../../../src/domain/mail/suppression.ts";
import {
  complaint,
  complaintNames,
  discard,
  explanation,
  sentences,
  strangeNames,
  uncertain,
} from "./explained.ts";

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
