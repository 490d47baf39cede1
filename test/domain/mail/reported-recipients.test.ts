import { describe, expect, test } from "vitest";
import { readEvents } from "../../../src/domain/mail/email-event.ts";
import { parseSesNotification } from "../../../src/domain/mail/ses-notification.ts";
import { suppressionOf } from "../../../src/domain/mail/suppression.ts";
import { asMessage, type SesOptions, sesEvent } from "../../support/ses.ts";

const publishedAt = new Date("2026-11-20T12:00:00.000Z");
const lists: Record<string, string> = {
  Bounce: "bouncedRecipients",
  Complaint: "complainedRecipients",
  DeliveryDelay: "delayedRecipients",
};

function readingOf(type: string, options: SesOptions) {
  const parsed = parseSesNotification(asMessage(sesEvent(type, options)));
  if (parsed.kind !== "event") throw new Error(`not an event: ${JSON.stringify(parsed)}`);
  const reading = readEvents("project", parsed.event, publishedAt);
  if (reading.kind === "invalid") throw new Error(reading.reason);
  return reading;
}

/** The recipient and what is said of who it is, for each event of a list. */
function touched(type: string, to: string[], list: unknown) {
  const detail = { [lists[type] ?? "recipients"]: list };
  return readingOf(type, { to, detail }).events.map(({ recipient, event }) => {
    const { reported_address, recipient_certain, recipient_listed } = event.detail;
    const isSuppressed = suppressionOf(event, false) !== null || undefined;
    const said = { reported_address, recipient_certain, recipient_listed, isSuppressed };
    return [
      recipient.asSent,
      Object.fromEntries(Object.entries(said).filter(([, value]) => value !== undefined)),
    ];
  });
}
const suppressed = { isSuppressed: true };
const unlisted = { recipient_certain: false, recipient_listed: false };

describe("with one destination, an event is that one's", () => {
  test.each([
    ...["JO@example.com", "jo@example.com.", "<jo@example.com", "jo@example.com (Ann)", "'jo@example.com'"],
    ...['"jo"@example.com', "rfc822;jo@example.com", "=?unknown", "unknown", "", 5, null, ["jo@example.com"]],
    ...["<jo@example.com>: host mx.example.com said: 550", "jo%40example.com", "jo@exam\r\n ple.com"],
    ...["bob@example.com, jo@example.com"],
  ])("a bounce that names %j", (emailAddress) => {
    expect(touched("Bounce", ["Jo@Example.com"], [{ emailAddress }])).toEqual([
      ["Jo@Example.com", suppressed],
    ]);
  });

  test.each([
    [[]],
    [null],
    [undefined],
    [[{}]],
    [[null, 7]],
    ["jo@example.com"],
    [{ emailAddress: "jo@example.com" }],
    [[{ emailAddress: "forward@example.net" }, { emailAddress: "JO@example.com" }]],
  ])("a complaint that lists %j", (list) => {
    expect(touched("Complaint", ["jo@example.com"], list)).toEqual([["jo@example.com", suppressed]]);
  });

  test.each(["Bounce", "Complaint", "DeliveryDelay"])(
    "a %s that names another mailbox suppresses nobody",
    (type) => {
      for (const emailAddress of ["Forward@Example.net", "jo+shop@example.com", "j.o@example.com"]) {
        expect(touched(type, ["jo@example.com"], [{ emailAddress }])).toEqual([
          ["jo@example.com", { reported_address: emailAddress.toLowerCase() }],
        ]);
      }
    },
  );

  test("a delivery to another mailbox, or to nobody", () => {
    expect(touched("Delivery", ["jo@example.com"], ["alias@example.net"])).toEqual([
      ["jo@example.com", { reported_address: "alias@example.net" }],
    ]);
    for (const list of [[], null, [null], [5]])
      expect(touched("Delivery", ["jo@example.com"], list)).toEqual([["jo@example.com", {}]]);
  });

  test("an escape of a mailbox is undone where the mailbox is known so", () => {
    expect(touched("Bounce", ["jo+a@example.com"], [{ emailAddress: "rfc822;jo+2Ba@example.com" }])).toEqual([
      ["jo+a@example.com", suppressed],
    ]);
  });

  test("an entry without an address tells the reason all the same", () => {
    const detail = { bouncedRecipients: [{ status: "5.1.1", action: "failed" }] };

    expect(readingOf("Bounce", { detail }).events[0]?.event.detail).toMatchObject({
      status_code: "5.1.1",
      action: "failed",
    });
  });
});

describe("with several destinations", () => {
  const to = ["Jo@example.com", "mary@example.com"];

  test("an event is of whom it names, in whatever form; another mailbox has a row and is not suppressed", () => {
    const list = ["<mary@example.com", "jo@example.com.", "bcc@example.net"].map((emailAddress) => ({
      emailAddress,
    }));

    expect(touched("Bounce", to, list)).toEqual([
      ["mary@example.com", suppressed],
      ["Jo@example.com", suppressed],
      ["bcc@example.net", { reported_address: "bcc@example.net" }],
    ]);
  });

  test.each(["Bounce", "Complaint", "DeliveryDelay", "Delivery"])(
    "a %s that names nobody is told with the primary one, which is not certain, and suppresses nobody",
    (type) => {
      for (const list of [[], null, undefined, [null], [{}], ["unknown"]])
        expect(touched(type, to, list)).toEqual([["Jo@example.com", unlisted]]);
    },
  );

  test("an entry that cannot be read leaves the others", () => {
    expect(
      touched("Complaint", to, [null, { emailAddress: 5 }, { emailAddress: "mary@example.com" }]),
    ).toEqual([["mary@example.com", suppressed]]);
  });
});

describe("distinct mailboxes are counted", () => {
  const twice = ["jo@example.com", "Jo@Example.com", '"jo"@example.com.'];

  test.each(["Open", "Click", "Subscription"])(
    "%s of a mail to one mailbox in three spellings is certain",
    (type) => {
      expect(touched(type, twice, undefined)).toEqual([["jo@example.com", {}]]);
    },
  );

  test("a complaint that lists one mailbox in several spellings is certain", () => {
    const list = twice.map((emailAddress) => ({ emailAddress }));

    for (const to of [["jo@example.com", "mary@example.com"], twice]) {
      const all = touched("Complaint", to, list);
      expect(new Set(all.map(([recipient]) => recipient))).toEqual(new Set(["jo@example.com"]));
      expect(all.every(([, said]) => JSON.stringify(said) === JSON.stringify(suppressed))).toBe(true);
    }
  });

  test("a mail to one mailbox in several spellings is sent once, and the first one is primary", () => {
    const { events } = readingOf("Send", { to: [...twice, "mary@example.com", "Jo <JO@example.com>"] });

    expect(events.map(({ recipient, isPrimary }) => [recipient.asSent, isPrimary])).toEqual([
      ["jo@example.com", true],
      ["mary@example.com", false],
    ]);
  });

  test("a joined list is as many recipients as it names", () => {
    expect(
      touched("Send", ["jo@example.com, mary@example.com"], undefined).map(([recipient]) => recipient),
    ).toEqual(["jo@example.com", "mary@example.com"]);
  });
});

describe("an entry that cannot be read is left out and counted", () => {
  test.each<[string, SesOptions, number]>([
    ["Send", {}, 0],
    ["Send", { mail: { destination: [null, "jane@example.com", 7, {}, "nobody"] } }, 4],
    ["Send", { mail: { tags: { a: [1, "x"], b: "y", c: 5, d: null } } }, 2],
    ["Send", { mail: { tags: { more: [1, "x"] } } }, 1],
    ["Send", { mail: { commonHeaders: { from: [null, "Shop <shop@example.org>"], to: [null] } } }, 1],
    ["Send", { mail: { headers: [null, 5] } }, 0],
    ["Click", { detail: { linkTags: { a: [null, "x"], b: 5 } } }, 2],
    ["Bounce", { detail: { bouncedRecipients: [{ emailAddress: "jane@example.com" }, null, 7] } }, 2],
    ["Delivery", { detail: { recipients: ["jane@example.com", null] } }, 1],
    ["Subscription", { detail: { newTopicPreferences: [null] } }, 0],
  ])("%s with %j", (type, options, unreadable) => {
    const reading = readingOf(type, options);

    expect(reading.events.map(({ recipient }) => recipient.matched)).toEqual(["jane@example.com"]);
    expect(reading.unreadable).toBe(unreadable);
  });
});
