import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { UnavailableError } from "../../src/domain/errors.ts";
import { parseSnsMessage } from "../../src/domain/mail/sns-message.ts";
import { type Certificates, createCertificates, verifySnsMessage } from "../../src/receive/signature.ts";
import { type Fields, type SnsSigner, snsSigner } from "../support/sns-signer.ts";

let directory: string;
let signer: SnsSigner;
let stranger: SnsSigner;
let certificates: Certificates;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-verify-"));
  signer = await snsSigner(directory);
  stranger = await snsSigner(directory);
  certificates = certificatesOf(signer, stranger);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function certificatesOf(...signers: SnsSigner[]): Certificates {
  const localCertificates = new Map(
    signers.map(({ certificateUrl, localCertificate }) => [
      certificateUrl,
      localCertificate.slice(certificateUrl.length + 1),
    ]),
  );
  return createCertificates({
    localCertificates,
    dispatcher: async () => new Agent(),
    now: () => new Date(),
  });
}

/** "accepted", or the status and cause of the refusal. */
async function verdict(fields: Fields, by = certificates): Promise<unknown> {
  try {
    await verifySnsMessage(parseSnsMessage(JSON.stringify(fields)), by);
    return "accepted";
  } catch (error) {
    const { status, causeCode } = error as { status?: number; causeCode?: string };
    return status === undefined ? error : [status, causeCode];
  }
}

const versions = ["1", "2"];

describe("a genuine message", () => {
  test.each(versions)("signed with scheme %s is accepted, of every type", async (SignatureVersion) => {
    const messages = [
      signer.notification('{"eventType":"Send"}\n', { SignatureVersion }),
      signer.notification("é 😀", { SignatureVersion, Subject: "Amazon SES" }),
      signer.notification("", { SignatureVersion, Subject: "" }),
      { ...signer.notification("text", { SignatureVersion }), Subject: null },
      { ...signer.notification("text", { SignatureVersion }), UnsubscribeURL: "https://example.com/" },
      signer.confirmation("SubscriptionConfirmation", { SignatureVersion }),
      signer.confirmation("UnsubscribeConfirmation", { SignatureVersion }),
    ];

    expect(await Promise.all(messages.map((fields) => verdict(fields)))).toEqual(
      messages.map(() => "accepted"),
    );
  });

  test("is verified without a promise once the key is known", async () => {
    const message = parseSnsMessage(JSON.stringify(signer.notification("text")));
    const own = certificatesOf(signer);

    expect(verifySnsMessage(message, own)).toBeInstanceOf(Promise);
    await own.keyOf(signer.certificateUrl);
    expect(verifySnsMessage(message, own)).toBeUndefined();
  });
});

describe("a message that was changed after it was signed", () => {
  const notification = { Message: "text\n", Subject: "Hello" };
  const changes: [what: string, (signed: Fields) => Fields][] = [
    ["another Message", (signed) => ({ ...signed, Message: "other\n" })],
    ["Message without its trailing newline", (signed) => ({ ...signed, Message: "text" })],
    ["another MessageId", (signed) => ({ ...signed, MessageId: "11111111-1111-4111-8111-111111111111" })],
    ["another Subject", (signed) => ({ ...signed, Subject: "Hellp" })],
    ["an empty Subject", (signed) => ({ ...signed, Subject: "" })],
    ["no Subject", ({ Subject: _, ...signed }) => signed],
    ["a Subject of null", (signed) => ({ ...signed, Subject: null })],
    ["another Timestamp", (signed) => ({ ...signed, Timestamp: "2026-11-20T12:00:00.001Z" })],
    [
      "another topic of the region",
      (signed) => ({ ...signed, TopicArn: "arn:aws:sns:eu-west-1:123456789012:other" }),
    ],
    [
      "the certificate of somebody else",
      (signed) => ({ ...signed, SigningCertURL: stranger.certificateUrl }),
    ],
    [
      "a Signature of somebody else",
      (signed) => ({ ...signed, Signature: stranger.sign(signed)["Signature"] }),
    ],
    ["a Signature of nothing", (signed) => ({ ...signed, Signature: "AAAA" })],
    ["half a Signature", (signed) => ({ ...signed, Signature: String(signed["Signature"]).slice(0, 172) })],
    [
      "the other SignatureVersion",
      (signed) => ({ ...signed, SignatureVersion: signed["SignatureVersion"] === "1" ? "2" : "1" }),
    ],
  ];

  test.each(versions.flatMap((version) => changes.map(([what, change]) => [version, what, change] as const)))(
    "scheme %s: %s is refused",
    async (SignatureVersion, _what, change) => {
      const { Message, Subject } = notification;
      const signed = signer.notification(Message, { Subject, SignatureVersion });

      expect(await verdict(signed)).toBe("accepted");
      expect(await verdict(change(signed))).toEqual([403, "signature"]);
    },
  );

  const confirmationChanges: [what: string, Fields][] = [
    ["another Token", { Token: "other" }],
    ["another SubscribeURL", { SubscribeURL: "https://elsewhere.example/" }],
    ["another Message", { Message: "other" }],
    ["the other type of confirmation", { Type: "UnsubscribeConfirmation" }],
    ["the type of a notification", { Type: "Notification" }],
  ];
  test.each(confirmationChanges)("a confirmation with %s is refused", async (_what, change) => {
    const signed = signer.confirmation("SubscriptionConfirmation");

    expect(await verdict({ ...signed, ...change })).toEqual([403, "signature"]);
  });

  test("a notification that claims to be a confirmation is refused", async () => {
    const confirmation = { Type: "SubscriptionConfirmation", Token: "token", SubscribeURL: "https://a/" };

    expect(await verdict({ ...signer.notification("text"), ...confirmation })).toEqual([403, "signature"]);
  });
});

describe("the certificate", () => {
  test("at an address that is not the topic's is refused before anything is fetched", async () => {
    const asked: string[] = [];
    const watched: Certificates = {
      keyOf(url) {
        asked.push(url);
        return certificates.keyOf(url);
      },
    };
    const SigningCertURL = signer.certificateUrl.replace("sns.eu-west-1", "sns.s3-eu-west-1");
    const otherRegion = "arn:aws:sns:us-east-1:123456789012:ses-events";

    expect(await verdict(signer.notification("text", { SigningCertURL }), watched)).toEqual([
      403,
      "certificate_url",
    ]);
    expect(await verdict(signer.notification("text", { TopicArn: otherRegion }), watched)).toEqual([
      403,
      "certificate_url",
    ]);
    expect(asked).toEqual([]);
  });

  test("that cannot be had now is our trouble, not a refusal", async () => {
    const none = createCertificates({
      localCertificates: new Map([[signer.certificateUrl, join(directory, "missing.pem")]]),
      dispatcher: async () => new Agent(),
      now: () => new Date("2026-11-20T12:00:00.000Z"),
    });

    expect(await verdict(signer.notification("text"), none)).toBeInstanceOf(UnavailableError);
    expect(await verdict(signer.notification("text"), none)).toBeInstanceOf(UnavailableError);
  });

  test("must have been valid when the message was signed, to the second", async () => {
    const expired = await snsSigner(directory, {
      notBefore: "2021-01-01T00:00:00Z",
      notAfter: "2022-01-01T00:00:00Z",
    });
    const own = certificatesOf(expired);
    const at = (Timestamp: string) => verdict(expired.notification("text", { Timestamp }), own);

    expect(await at("2020-12-31T23:59:59.999Z")).toEqual([403, "certificate_expired"]);
    expect(await at("2021-01-01T00:00:00.000Z")).toBe("accepted");
    expect(await at("2021-06-01T00:00:00.000Z")).toBe("accepted");
    expect(await at("2022-01-01T00:00:00.000Z")).toBe("accepted");
    expect(await at("2022-01-01T00:00:00.001Z")).toEqual([403, "certificate_expired"]);
  });

  test("that is valid now is refused for a message of a time before it", async () => {
    const current = await snsSigner(directory, { notBefore: "2024-01-01T00:00:00Z" });
    const own = certificatesOf(current);

    const Timestamp = "2023-12-31T23:59:59.999Z";
    expect(await verdict(current.notification("text", { Timestamp }), own)).toEqual([
      403,
      "certificate_expired",
    ]);
    expect(await verdict(current.notification("text"), own)).toBe("accepted");
  });
});
