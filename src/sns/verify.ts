import { verify } from "node:crypto";
import { RefusedError } from "../domain/errors.ts";
import {
  assertCertificateUrl,
  type SnsMessage,
  signatureDigest,
  stringToSign,
} from "../domain/sns-message.ts";
import type { Certificates, SigningKey } from "./certificates.ts";

/**
 * Makes sure that AWS signed this message for its topic. The topic must have been found in the allow-list
 * before: any AWS account can have a message signed for a topic of its own.
 *
 * @throws RefusedError 403 when it is not authentic.
 * @throws UnavailableError when the certificate cannot be had now.
 */
export function verifySnsMessage(message: SnsMessage, certificates: Certificates): void | Promise<void> {
  assertCertificateUrl(message.SigningCertURL, message.TopicArn);
  const key = certificates.keyOf(message.SigningCertURL);
  if (key instanceof Promise) return key.then((loaded) => verifyWith(message, loaded));
  verifyWith(message, key);
}

function verifyWith(message: SnsMessage, { key, validFrom, validTo }: SigningKey): void {
  // Judged at the time of signing: a message that is driven again next year was valid when it was made.
  const signedAt = new Date(message.Timestamp);
  if (signedAt < validFrom || signedAt > validTo) {
    throw new RefusedError(
      403,
      "certificate_expired",
      "The certificate was not valid when the message was signed",
    );
  }
  const signature = Buffer.from(message.Signature, "base64");
  // The thread pool gives nothing at this size, and a synchronous check keeps the order of arrival.
  if (!verify(signatureDigest(message), Buffer.from(stringToSign(message)), key, signature)) {
    throw new RefusedError(403, "signature", "The signature does not match the message");
  }
}
