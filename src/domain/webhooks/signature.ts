import { createHmac } from "node:crypto";

const secretPrefix = "whsec_";

/** Makes an endpoint secret from 32 random bytes, in the format of Standard Webhooks. */
export function webhookSecret(random: Buffer): string {
  return secretPrefix + random.toString("base64");
}

/**
 * The value of `webhook-signature`: HMAC-SHA256 over `id.timestamp.body`, one signature for each secret, so that the
 * receiver may verify the old or the new secret during a rotation. Source: the Standard Webhooks specification.
 *
 * @param timestampSeconds of this attempt.
 * @param secrets `whsec_…`, the newest first.
 */
export function webhookSignature(
  id: string,
  timestampSeconds: number,
  body: string,
  secrets: readonly string[],
): string {
  const content = `${id}.${timestampSeconds}.${body}`;
  return secrets.map((secret) => `v1,${sign(content, secret)}`).join(" ");
}

/**
 * The value of `X-RQE-Signature`, as Really Quick Emails signs: HMAC-SHA256 over the body alone, in hex. The key is the
 * text of the secret, `whsec_` included. Without a timestamp, it does not protect against replay attacks.
 */
export function legacySignature(body: string, secret: string): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

function sign(content: string, secret: string): string {
  const key = Buffer.from(secret.slice(secretPrefix.length), "base64");
  return createHmac("sha256", key).update(content).digest("base64");
}
