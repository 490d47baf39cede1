import { createPublicKey, verify } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { RefusedError } from "../../../src/domain/errors.ts";
import { parseSnsMessage, signatureDigest, stringToSign } from "../../../src/domain/mail/sns-message.ts";
import { type Fields, type SnsSigner, snsSigner } from "../../support/sns-signer.ts";

let directory: string;

export let signer: SnsSigner;

export function refusal(body: string): RefusedError {
  try {
    parseSnsMessage(body);
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** Whether our text is the one that the signer, written apart from it, has signed. */
export function isTheSignedText(fields: Fields, signed = fields): boolean {
  const message = parseSnsMessage(JSON.stringify(fields));
  return verify(
    signatureDigest(message),
    Buffer.from(stringToSign(message)),
    createPublicKey(signer.certificate),
    Buffer.from(String(signed["Signature"]), "base64"),
  );
}

export const confirmations = ["SubscriptionConfirmation", "UnsubscribeConfirmation"];

export const notText = [undefined, null, 5, true, {}, ["jane@example.com"]];

export const secret = "jane@example.com";

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "fanmail-sns-message-"));
    signer = await snsSigner(directory);
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
}
