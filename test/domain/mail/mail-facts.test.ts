import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Address, parseAddress } from "../../../src/domain/address.ts";
import {
  activityId,
  addedFacts,
  type MailFacts,
  mailFacts,
  mergeFacts,
} from "../../../src/domain/mail/mail-facts.ts";
import { atLength } from "../../support/length.ts";

const uuid = (digit: string) => `${digit.repeat(8)}-0000-7000-8000-000000000000`;
const address = (text: string) => parseAddress(text) as Address;
const jane = address("Jane <JANE@example.com>");
const mail = {
  messageId: "0100019d27eaf07e-948fa8de-1f33-4f06-a01a-ecb1973e1c20-000000",
  timestamp: "2026-03-26T02:13:22.000Z",
  source: "bounces@mail.example.org",
  destination: ["jane@example.com"],
  commonHeaders: { from: ['"The Shop" <Shop@Example.org>'], subject: "Hello" },
  tags: {
    activity_id: [uuid("A"), uuid("f")],
    campaign_id: [uuid("b")],
    automation_run_id: [uuid("c")],
    template_id: [uuid("d")],
    email_type: ["newsletter"],
    "ses:source-ip": ["192.0.2.10"],
    "ses:tenant-name": ["acme"],
  },
};
const facts = mailFacts(mail, jane, true);
const bare = mailFacts({ messageId: mail.messageId }, jane, true);

describe("mailFacts", () => {
  test("reads everything that a notification says of the email", () => {
    expect(facts).toEqual({
      message_id: mail.messageId,
      recipient: "jane@example.com",
      recipient_as_sent: "JANE@example.com",
      tagged_id: uuid("a"),
      sent_at: new Date("2026-03-26T02:13:22.000Z"),
      subject: "Hello",
      sender_email: "Shop@Example.org",
      sender_name: "The Shop",
      sender_domain: "example.org",
      email_type: "newsletter",
      campaign_id: uuid("b"),
      automation_run_id: uuid("c"),
      template_id: uuid("d"),
      tenant_name: "acme",
      tags: mail.tags,
      is_test: false,
    });
  });

  test("has null for what the notification leaves out, and the time inside the messageId", () => {
    expect(bare).toEqual({
      message_id: mail.messageId,
      recipient: "jane@example.com",
      recipient_as_sent: "JANE@example.com",
      tagged_id: null,
      sent_at: new Date("2026-03-26T02:13:21.662Z"),
      subject: null,
      sender_email: null,
      sender_name: null,
      sender_domain: null,
      email_type: null,
      campaign_id: null,
      automation_run_id: null,
      template_id: null,
      tenant_name: null,
      tags: null,
      is_test: false,
    });
  });

  test("takes the sender from source when the headers are missing or name none", () => {
    for (const commonHeaders of [null, { from: [] }, { from: ["undisclosed"] }]) {
      expect(mailFacts({ ...mail, commonHeaders }, jane, true)).toMatchObject({
        sender_email: "bounces@mail.example.org",
        sender_name: null,
        sender_domain: "mail.example.org",
      });
    }
  });

  test("ignores ill-formed uuids in tags, and keeps the tags themselves", () => {
    const tags = { activity_id: ["a-1"], campaign_id: [""], automation_run_id: [], template_id: ["welcome"] };

    expect(mailFacts({ ...mail, tags }, jane, true)).toMatchObject({
      tagged_id: null,
      campaign_id: null,
      automation_run_id: null,
      template_id: null,
      email_type: null,
      tags,
    });
  });

  test("gives the tagged id to the primary recipient only", () => {
    expect(mailFacts(mail, jane, false)).toEqual({ ...facts, tagged_id: null });
  });

  test.each([
    ["bounce@simulator.amazonses.com", true],
    ["Success <success+label@Simulator.AmazonSES.com>", true],
    ["a@eu.simulator.amazonses.com", true],
    ["a@notsimulator.amazonses.com", false],
    ["a@simulator.amazonses.com.example.com", false],
    ["simulator.amazonses.com@example.com", false],
  ])("says whether mail to %s is a test: %s", (recipient, isTest) => {
    expect(mailFacts(mail, address(recipient), true).is_test).toBe(isTest);
  });
});

describe("activityId", () => {
  test("is the same from a notification with milliseconds, without, and without a time", () => {
    const id = activityId("project", facts);

    expect(activityId("project", { ...facts, sent_at: new Date("2026-03-26T02:13:21.000Z") })).toBe(id);
    expect(activityId("project", { ...bare, recipient_as_sent: "other", sent_at: null })).toBe(id);
  });

  test("differs with project, email and recipient", () => {
    const ids = [
      activityId("project", facts),
      activityId("other", facts),
      activityId("project", { ...facts, recipient: "mary@example.com" }),
      activityId("project", { ...facts, message_id: mail.messageId.replace("948fa8de", "00000000") }),
    ];

    expect(new Set(ids).size).toBe(4);
  });

  test("of an email whose messageId holds no time has that of the mail, or none", () => {
    const odd = { ...facts, message_id: "m" };

    expect(activityId("project", odd).replaceAll("-", "").slice(0, 12)).toBe(
      Date.parse("2026-03-26T02:13:22.000Z").toString(16).padStart(12, "0"),
    );
    expect(activityId("project", { ...odd, sent_at: null }).slice(0, 13)).toBe("00000000-0000");
  });
});

const nullable = [
  ...(["tagged_id", "sent_at", "subject", "sender_email", "sender_name", "sender_domain"] as const),
  ...(["email_type", "campaign_id", "automation_run_id", "template_id", "tags"] as const),
];

/** Accounts of one email as different notifications give them. */
const account = fc
  .record({
    recipient_as_sent: fc.constantFrom("jane@example.com", "JANE@example.com"),
    sent_at: fc.option(fc.constantFrom(1, 2, 3).map((ms) => new Date(ms))),
    tags: fc.option(
      fc.dictionary(
        fc.constantFrom("a", "b", "constructor", "toString", "__proto__"),
        fc.array(fc.constantFrom("x", "y"), { maxLength: 2 }),
      ),
    ),
    texts: fc.array(fc.option(fc.constantFrom("x", "y", "")), { minLength: 9, maxLength: 9 }),
  })
  .map(({ texts, ...others }): MailFacts => {
    const names = nullable.filter((name) => name !== "sent_at" && name !== "tags");
    return { ...bare, ...others, ...Object.fromEntries(names.map((name, index) => [name, texts[index]])) };
  });

const addedTo = (known: MailFacts, more: MailFacts) => addedFacts(known, mergeFacts(known, more));

describe("mergeFacts", () => {
  test.each(nullable)("lets null give way to a value of %s, whichever account comes first", (name) => {
    const without = { ...facts, [name]: null };
    const merged = mergeFacts(facts, facts);

    expect([mergeFacts(without, facts), mergeFacts(facts, without)]).toEqual([merged, merged]);
    expect(addedTo(without, facts)).toBe(name === "tags" ? "tags" : "more");
    expect(addedTo(facts, without)).toBe("nothing");
  });

  test("of what an account says twice is that account", () => {
    expect(mergeFacts(facts, facts)).toEqual(facts);
    expect(addedTo(facts, facts)).toBe("nothing");
  });

  test("unites tags, whatever they are called", () => {
    const tags = { b: ["1"], constructor: ["2"], toString: ["3"] };
    const merged = { a: ["0"], b: ["1"], constructor: ["2"], toString: ["3"] };

    expect(mergeFacts({ ...facts, tags }, { ...facts, tags: { a: ["0"] } }).tags).toEqual(merged);
    expect(mergeFacts({ ...facts, tags: { a: ["0"] } }, { ...facts, tags }).tags).toEqual(merged);
  });

  test("comes to the same in every order, and however often an account is repeated", () => {
    fc.assert(
      fc.property(account, account, account, (one, two, three) => {
        const merged = mergeFacts(mergeFacts(one, two), three);

        expect(mergeFacts(mergeFacts(three, two), one)).toEqual(merged);
        expect(mergeFacts(one, mergeFacts(two, three))).toEqual(merged);
        expect(mergeFacts(merged, two)).toEqual(merged);
        expect([one, two, three].map((part) => addedTo(merged, part))).toEqual(Array(3).fill("nothing"));
      }),
      { numRuns: atLength(200, 2_000) },
    );
  });

  test("gives the facts alone, whatever else a stored row has", () => {
    const row = { ...facts, id: "activity-1", open_count: 3 };

    expect(mergeFacts(row, facts)).toEqual(facts);
  });
});
