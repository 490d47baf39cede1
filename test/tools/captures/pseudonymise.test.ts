import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/domain/address.ts";
import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { pseudonymisedNotification } from "../../../src/tools/captures/pseudonymise.ts";
import { pseudonymsOf } from "../../../src/tools/captures/pseudonyms.ts";
import { bridged } from "../../support/eventbridge.ts";
import { asMessage, type SesPayload, sesEvent } from "../../support/ses.ts";

const pseudonyms = pseudonymsOf("a secret");
const timestamp = "2026-11-20T10:00:00.000Z";

function envelope(message: string): Record<string, string> {
  return {
    Type: "Notification",
    MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    TopicArn: "arn:aws:sns:eu-west-1:123456789012:ses-events",
    Subject: "Amazon SES Email Event Notification",
    Message: message,
    Timestamp: timestamp,
    SignatureVersion: "1",
    Signature: "c2ln",
    SigningCertURL: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
    UnsubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe",
  };
}

function pseudonymised(message: string, keepSubjects = false): string {
  return pseudonymisedNotification(JSON.stringify(envelope(message)), { pseudonyms, keepSubjects });
}

/** The payload that is left of one. */
function left(payload: unknown, keepSubjects = false): SesPayload {
  return JSON.parse(JSON.parse(pseudonymised(asMessage(payload), keepSubjects)).Message);
}

const of = (address: string) => pseudonyms.ofAddress({ matched: parseAddress(address)?.matched ?? "" });
const jane = "jane.doe@shop.test";

const directory = new URL("../../fixtures/ses/", import.meta.url);
const fixtures = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name): [string, unknown] => [name, JSON.parse(readFileSync(new URL(name, directory), "utf8"))]);
const simulated = (address: string) => address.toLowerCase().endsWith("@simulator.amazonses.com");

describe.each(fixtures)("%s", (_name, payload) => {
  const message = typeof payload === "string" ? payload : asMessage(payload);

  test("contains none of its addresses any more", () => {
    const held = JSON.stringify(payload).match(/[\w.+-]+(@|%40)[\w.-]+\w/g) ?? [];
    const output = pseudonymised(message).toLowerCase();
    for (const address of held.filter((one) => !simulated(one)))
      expect(output).not.toContain(address.toLowerCase());
  });

  test("is about as many emails and recipients, with the same events at the same times", () => {
    const outline = (body: string) => {
      const read = interpretNotification("project", body, new Date(timestamp));
      if (read.kind !== "events") return read;
      return read.events.map(({ facts, event }) => ({
        message: facts.message_id,
        test: facts.is_test,
        tagged: facts.tagged_id,
        type: event.type,
        at: event.occurred_at,
        certain: event.detail.recipient_certain,
      }));
    };
    const before = JSON.stringify(envelope(message));
    expect(outline(pseudonymised(message))).toEqual(outline(before));
  });
});

test("fields without a name, joined lists and unusual addresses contain nobody either", () => {
  const reported = '"jane.doe"@shop.test. (Jane Doe)';
  const payload = sesEvent("Bounce", {
    to: [jane, "Joe Roe <joe@shop.test>, Ann Poe <ann@shop.test>"],
    detail: {
      bouncedRecipients: [
        { emailAddress: reported, forwardedBy: `Jane <${jane}>`, seenFrom: "198.51.100.7" },
      ],
      remoteMtaIp: "203.0.113.26",
      next: { of: [{ reader: "2001:db8:9::1", text: `for ${jane}` }] },
    },
    mail: { audience: [jane] },
  });

  const output = left(payload);
  const [recipient] = (output["bounce"] as { bouncedRecipients: { emailAddress: string }[] })
    .bouncedRecipients;
  expect(recipient?.emailAddress).toBe(of(jane));
  expect(output.mail["destination"]).toEqual([of(jane), `${of("joe@shop.test")}, ${of("ann@shop.test")}`]);
  expect(output).toMatchObject({ bounce: { remoteMtaIp: "203.0.113.26" } });
  for (const personal of ["jane", "Joe", "Poe", "shop.test", "198.51.100.7", "2001:db8:9::1"])
    expect(JSON.stringify(output).toLowerCase()).not.toContain(personal.toLowerCase());
});

/** Every place that an address can be written in, and how. */
const places: Record<string, (address: string) => SesPayload> = {
  destination: (address) => sesEvent("Send", { to: [address] }),
  "a bounced recipient": (address) =>
    sesEvent("Bounce", { to: ["x@y.test"], detail: { bouncedRecipients: [{ emailAddress: address }] } }),
  sender: (address) => sesEvent("Send", { mail: { source: `"A, B" <${address}>` } }),
  "a list in a header": (address) =>
    sesEvent("Send", { mail: { headers: [{ name: "Cc", value: `"X, Y" <a@b.test>, Z <${address}>` }] } }),
  "another header": (address) =>
    sesEvent("Send", { mail: { headers: [{ name: "X-For", value: `for ${address}; now` }] } }),
  "an encoded header": (address) =>
    sesEvent("Send", {
      mail: {
        headers: [{ name: "X-For", value: `=?utf-8?b?${Buffer.from(`to ${address}`).toString("base64")}?=` }],
      },
    }),
  "a subject": (address) => sesEvent("Send", { mail: { commonHeaders: { subject: `Hello ${address}` } } }),
  "a diagnostic": (address) =>
    sesEvent("Bounce", {
      detail: {
        bouncedRecipients: [{ emailAddress: "x@y.test", diagnosticCode: `550 <${address}>: unknown` }],
      },
    }),
  "a link": (address) =>
    sesEvent("Click", { detail: { link: `https://x.test/u?e=${encodeURIComponent(address)}&f=1` } }),
  "a link in a link": (address) =>
    sesEvent("Click", {
      detail: {
        link: `https://x.test/?to=${encodeURIComponent(`https://y.test/?e=${encodeURIComponent(address)}`)}`,
      },
    }),
  "a tag, and its name": (address) => sesEvent("Send", { mail: { tags: { [address]: [address] } } }),
  "something new": (address) => sesEvent("Send", { mail: { news: { deep: [[`(${address})`]] } } }),
};

/** As fields of addresses hold them too: with signs that end an address elsewhere, letters of all scripts, quotes. */
const oddAddress = fc
  .tuple(
    fc.string({
      unit: fc.constantFrom(..."abzAZ09.+-_=%'/?&!# ()".split(""), "ü", "例", "\u0301"),
      minLength: 1,
    }),
    fc.constantFrom("mail.test", "Müller.test", "sub.xn--mller-kva.test"),
  )
  .map(([local, domain]) => `x${local}y@${domain}`);

function expectGone(address: string, payload: SesPayload): void {
  const output = JSON.stringify(left(payload)).toLowerCase();
  const plain = JSON.stringify(address).slice(1, -1).toLowerCase();
  for (const spelled of [plain, encodeURIComponent(address).toLowerCase()])
    expect(output).not.toContain(spelled);
}

describe.each(Object.entries(places))("an address in %s", (_place, payloadWith) => {
  test("is not found in what is left", () => {
    fc.assert(
      fc.property(fc.emailAddress(), (address) => expectGone(address, payloadWith(address))),
      // A local part that looks like the escape of a sign that no address has.
      { examples: [["%0a@a.aa"]] },
    );
  });

  test("is not found whatever it is, if an address field contains it", () => {
    fc.assert(
      fc.property(oddAddress, (address) => {
        const payload = payloadWith(address);
        const mail = { ...payload.mail, destination: [address] };
        expectGone(address, { ...payload, mail });
      }),
    );
  });

  test("of the simulator stays", () => {
    const payload = payloadWith("bounce+label@simulator.amazonses.com");
    const mail = { ...payload.mail, source: null, destination: [] };
    const { text: _, ...expected } = { ...payload, mail, text: "" };
    // The others of a payload are people.
    const others = /"x@y\.test"|a@b\.test/.test(JSON.stringify(payload));
    if (!others) expect(left({ ...payload, mail }, true)).toEqual(expected);
    else expect(JSON.stringify(left(payload, true))).toContain("bounce+label@simulator.amazonses.com");
  });
});

test.each([
  [jane, of(jane)],
  ["Jane.DOE@Shop.TEST", of(jane)],
  ["550 5.1.1 <jane.doe@shop.test>: unknown", `550 5.1.1 <${of(jane)}>: unknown`],
  ["Sent to jane.doe@shop.test.", `Sent to ${of(jane)}.`],
  ["to 'jane.doe@shop.test'", `to '${of(jane)}'`],
  ["mailto:jane.doe@shop.test?subject=x", `mailto:${of(jane)}?subject=x`],
  [`for "Doe, Jane" <jane.doe@shop.test>`, `for <${of(jane)}>`],
  ["https://x.test/?u%3Djane.doe%40shop.test", `https://x.test/?u%3D${of(jane).replace("@", "%40")}`],
  [
    "https://x.test/?u%253Djane.doe%2540shop.test%2526",
    `https://x.test/?u%253D${of(jane).replace("@", "%2540")}%2526`,
  ],
  ["bounce-jane.doe=shop.test@list.test", `bounce-${of(jane).replace("@", "=").replace(/=.*/, "")}=`],
  ["https://x.test/@handle/2@", "https://x.test/@handle/2@"],
])("in the text %s just the address is replaced, the same everywhere", (written, expected) => {
  const payload = left(sesEvent("Send", { to: [jane], mail: { note: written } }));
  expect(payload.mail["note"]).toContain(expected);
  expect(payload.mail["destination"]).toEqual([of(jane)]);
});

test("a recipient's address in base64 in a link is replaced by the pseudonym in base64", () => {
  const base64 = (text: string) => Buffer.from(text).toString("base64url");
  const payload = left(
    sesEvent("Click", { to: [jane], detail: { link: `https://x.test/u/${base64(jane)}/x` } }),
  );
  expect(payload["click"]).toMatchObject({ link: `https://x.test/u/${base64(of(jane))}/x` });
});

test("names are removed, also encoded ones and those that contain an address; the number of recipients stays", () => {
  const headers = [
    { name: "To", value: `"Doe, Jane (jane@home.test)" <${jane}>, =?utf-8?q?J=C3=BCrgen?= <j@shop.test>` },
    { name: "Date", value: "Fri, 20 Nov 2026 10:00:00 +0000" },
  ];
  const payload = left(sesEvent("Send", { to: [`Jane Doe <${jane}>`], mail: { headers } }));
  expect(payload.mail["headers"]).toEqual([
    { name: "To", value: `${of(jane)}, ${of("j@shop.test")}` },
    headers[1],
  ]);
  expect(payload.mail["destination"]).toEqual([of(jane)]);
  expect(JSON.stringify(payload)).not.toMatch(/jane|doe|shop@|Shop </i);
});

test("subjects are replaced alike everywhere, or kept except for addresses", () => {
  const mail = {
    headers: [{ name: "Subject", value: "=?utf-8?q?Gr=C3=BC=C3=9Fe_an_jane.doe=40shop.test?=" }],
    commonHeaders: { subject: "Grüße an jane.doe@shop.test" },
  };
  const replaced = left(sesEvent("Send", { mail })).mail;
  const subject = pseudonyms.ofSubject("Grüße an jane.doe@shop.test");
  expect(replaced).toMatchObject({ headers: [{ value: subject }], commonHeaders: { subject } });
  const kept = left(sesEvent("Send", { mail }), true).mail;
  const written = `Grüße an ${of(jane)}`;
  expect(kept).toMatchObject({ headers: [{ value: written }], commonHeaders: { subject: written } });
});

test("IP addresses of opens and clicks are replaced by reserved ones", () => {
  const detail = (ipAddress: string) => left(sesEvent("Open", { detail: { ipAddress } }))["open"];
  expect(detail("203.0.113.7")).toMatchObject({ ipAddress: expect.stringMatching(/^198\.1[89]\.\d+\.\d+$/) });
  expect(detail("2001:DB8:1::7")).toMatchObject({
    ipAddress: expect.stringMatching(/^2001:db8::([\da-f]{4}:){3}[\da-f]{4}$/),
  });
});

test("the envelope keeps the notification's identity, and loses its signature", () => {
  const message = asMessage(sesEvent("Send"));
  expect(JSON.parse(pseudonymised(message))).toEqual({
    Type: "Notification",
    MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    TopicArn: "arn:aws:sns:eu-west-1:123456789012:ses-events",
    Subject: "Amazon SES Email Event Notification",
    Timestamp: timestamp,
    Message: expect.stringMatching(/^\{.*\}\n$/),
  });
  expect(JSON.parse(pseudonymised("Hello jane.doe@shop.test")).Message).toBe(`Hello ${of(jane)}`);
  expect(JSON.parse(pseudonymised('{"erased":true}')).Message).toBe('{"erased":true}');
});

test("pseudonyms depend on the secret, keep domains together and name large providers", () => {
  const other = pseudonymsOf("another");
  const domain = (address: string) => of(address).split("@")[1];
  expect(other.ofAddress({ matched: jane })).not.toBe(of(jane));
  expect(pseudonymsOf("a secret").ofAddress({ matched: jane })).toBe(of(jane));
  expect(domain("other@shop.test")).toBe(domain(jane));
  expect(domain("jane@else.test")).not.toBe(domain(jane));
  expect(of("jane@gmail.com")).toMatch(/^person-[\da-f]{12}@gmail\.example\.com$/);
});

test("a long text is read quickly", () => {
  const long = `${"x".repeat(100_000)} @ ${"%41".repeat(30_000)}`;
  expect(left(sesEvent("Send", { mail: { long } })).mail["long"]).toBe(long);
});

test.each([
  ["an object", (detail: SesPayload) => detail],
  ["JSON text", (detail: SesPayload) => JSON.stringify(detail)],
])("the envelope of EventBridge whose detail is %s holds nobody, and the same event", (_form, spelled) => {
  const detail = sesEvent("Open", {
    to: [`"Jane \\"JD\\" Doe" <${jane}>`],
    detail: { ipAddress: "192.0.2.77" },
    mail: { commonHeaders: { subject: "For Jane", from: ["Shop <shop@example.org>"] } },
  });
  const message = asMessage(bridged(detail, { detail: spelled(detail) }));
  const output = pseudonymised(message);

  expect(output).not.toMatch(/jane|JD|192\.0\.2\.77|shop@example\.org/i);
  expect(JSON.parse(JSON.parse(output).Message).detail).toEqual(left(detail));
});
