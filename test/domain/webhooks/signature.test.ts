import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { describe, expect, test } from "vitest";
import { legacySignature, webhookSecret, webhookSignature } from "../../../src/domain/webhooks/signature.ts";

const secret = webhookSecret(Buffer.alloc(32, 1));
const older = webhookSecret(Buffer.alloc(32, 2));
const other = webhookSecret(Buffer.alloc(32, 3));
const body = '{"event":"email.open","data":{"recipient":"zoë@example.com"}}';
const nowSeconds = () => Math.floor(Date.now() / 1000);

function headers(secrets: string[], timestampSeconds = nowSeconds()): Record<string, string> {
  return {
    "webhook-id": "id-1",
    "webhook-timestamp": String(timestampSeconds),
    "webhook-signature": webhookSignature("id-1", timestampSeconds, body, secrets),
  };
}

/** What the library of a customer says. */
const verified = (signed: Record<string, string>, by = secret, text = body) =>
  new Webhook(by).verify(text, signed);

describe("webhookSignature", () => {
  test("is accepted by the standardwebhooks library", () => {
    expect(verified(headers([secret]))).toEqual(JSON.parse(body));
  });

  test("with two secrets is accepted by who knows the new one and by who knows the old one", () => {
    const signed = headers([secret, older]);

    expect(verified(signed, secret)).toEqual(JSON.parse(body));
    expect(verified(signed, older)).toEqual(JSON.parse(body));
    expect(signed["webhook-signature"]).toMatch(/^v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=$/);
  });

  test("is the HMAC that OpenSSL computes", () => {
    // printf 'id-1.1763640000.{}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101…01 -binary | base64
    expect(webhookSignature("id-1", 1_763_640_000, "{}", [secret])).toBe(
      "v1,9CnYe7sKTHTULS6cpTV+VIp4Vn6hf8aRiKKPlvchTic=",
    );
  });

  test.each<[string, () => unknown]>([
    ["a changed byte of the body", () => verified(headers([secret]), secret, body.replace("open", "oped"))],
    ["a body with a space more", () => verified(headers([secret]), secret, `${body} `)],
    ["another id", () => verified({ ...headers([secret]), "webhook-id": "id-2" })],
    [
      "another time",
      () => verified({ ...headers([secret]), "webhook-timestamp": String(nowSeconds() - 60) }),
    ],
    ["an old time, although signed", () => verified(headers([secret], nowSeconds() - 3600))],
    ["a secret that is not ours", () => verified(headers([secret]), other)],
    ["two secrets that are not ours", () => verified(headers([secret, older]), other)],
    ["no secret at all", () => verified(headers([]))],
  ])("is refused by the library with %s", (_what, verify) => {
    expect(verify).toThrow(WebhookVerificationError);
  });
});

describe("webhookSecret", () => {
  test("is whsec_ and the random bytes in base64", () => {
    expect(secret).toBe(`whsec_${Buffer.alloc(32, 1).toString("base64")}`);
  });
});

describe("legacySignature", () => {
  test("is the HMAC of the body by the text of the secret, as openssl computes it", () => {
    // printf '{"a":1}' | openssl dgst -sha256 -hmac whsec_abc
    expect(legacySignature('{"a":1}', "whsec_abc")).toBe(
      "sha256=359ab2775fc376b1a8dee20a432572581b7d5b4e2c3a4e3ff657ed6713fa7eeb",
    );
  });
});
