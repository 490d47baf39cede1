import { type KeyObject, verify, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { RefusedError, UnavailableError, UnverifiedError } from "../domain/errors.ts";
import {
  assertCertificateUrl,
  type SnsMessage,
  signatureDigest,
  stringToSign,
} from "../domain/mail/sns-message.ts";
import { recentlyUsed } from "../domain/maps.ts";
import { type AwsDispatcher, createFetchQueue, type FetchQueue, get } from "./aws-documents.ts";

/**
 * Verifies that AWS signed this message for its topic. The caller must have found the topic in the allow-list: any AWS
 * account can have a message signed for its own topic.
 *
 * @throws RefusedError 403 when it is not authentic.
 * @throws UnavailableError when the certificate is unavailable now.
 */
export function verifySnsMessage(message: SnsMessage, certificates: Certificates): void | Promise<void> {
  assertCertificateUrl(message.SigningCertURL, message.TopicArn);
  const key = certificates.keyOf(message.SigningCertURL);
  if (key instanceof Promise) return key.then((loaded) => verifyWith(message, loaded));
  verifyWith(message, key);
}

function verifyWith(message: SnsMessage, { key, validFrom, validTo }: SigningKey): void {
  // Judged at the time of signing: a message that is redriven next year was valid when it was signed.
  const signedAt = new Date(message.Timestamp);
  if (signedAt < validFrom || signedAt > validTo) {
    throw new RefusedError(
      403,
      "certificate_expired",
      "The certificate was not valid when the message was signed",
    );
  }
  const signature = Buffer.from(message.Signature, "base64");
  // The thread pool gains nothing at this size, and a synchronous check keeps the order of arrival.
  if (!verify(signatureDigest(message), Buffer.from(stringToSign(message)), key, signature)) {
    throw new RefusedError(403, "signature", "The signature does not match the message");
  }
}

/** A signing certificate, parsed once. */
export type SigningKey = { key: KeyObject; validFrom: Date; validTo: Date };

/** Provides the keys that verify SNS messages. */
export type Certificates = {
  /**
   * Returns no promise once the key is known, so that verifying stays synchronous.
   * @param url checked by the caller with `assertCertificateUrl`: anything that is given here is fetched.
   * @throws UnverifiedError when it cannot be fetched or read now.
   * @throws UnavailableError when a local file cannot be read.
   */
  keyOf(url: string): SigningKey | Promise<SigningKey>;
};

const failureRemembersMs = 5_000;
/** AWS changes its certificate about once a year, and each region has one. */
const maxRemembered = 500;

export type CertificatesOptions = {
  /** Exact SigningCertURL → path of a PEM file. */
  localCertificates: ReadonlyMap<string, string>;
  dispatcher: AwsDispatcher;
  now: () => Date;
};

/**
 * Fetches each certificate once, however many messages wait for it. Names can be invented, so unknown ones share a queue
 * for each host; see `createFetchQueue`.
 */
export function createCertificates({
  localCertificates,
  dispatcher,
  now,
}: CertificatesOptions): Certificates {
  const known = recentlyUsed<SigningKey>(maxRemembered);
  const failed = recentlyUsed<{ error: UnavailableError; untilMs: number }>(maxRemembered);
  const underWay = new Map<string, Promise<SigningKey>>();
  const queues = new Map<string, FetchQueue>();

  async function fetchKey(url: string): Promise<SigningKey> {
    const { host } = new URL(url);
    // Hosts follow from allow-listed topics, so there are few.
    const queue = queues.get(host) ?? createFetchQueue();
    queues.set(host, queue);
    const pem = await queue.run(url, (signal) => fetchPem(url, dispatcher, signal));
    return readable(url, pem);
  }

  async function load(url: string): Promise<SigningKey> {
    const path = localCertificates.get(url);
    try {
      const key = path === undefined ? await fetchKey(url) : await readLocal(url, path);
      known.set(url, key);
      return key;
    } catch (error) {
      // A name that had no turn may well be a genuine certificate.
      if (error instanceof UnavailableError && !isCrowded(error))
        failed.set(url, { error, untilMs: now().getTime() + failureRemembersMs });
      throw error;
    } finally {
      underWay.delete(url);
    }
  }

  return {
    keyOf(url) {
      const key = known.get(url);
      if (key) return key;
      const failure = failed.get(url);
      if (failure && now().getTime() < failure.untilMs) throw failure.error;
      queues.get(new URL(url).host)?.prefer(url);
      const started = underWay.get(url) ?? load(url);
      underWay.set(url, started);
      return started;
    },
  };
}

function isCrowded(error: UnavailableError): boolean {
  return error instanceof UnverifiedError && error.causeCode === "certificate_crowded";
}

async function fetchPem(url: string, dispatcher: AwsDispatcher, signal: AbortSignal): Promise<string> {
  const { status, text } = await get(url, dispatcher, signal).catch((cause: unknown) => {
    throw unverified("certificate_unreachable", url, cause);
  });
  if (status === 200) return text;
  const isMissing = status === 403 || status === 404;
  const cause = new Error(`the answer was ${status}`);
  throw unverified(isMissing ? "certificate_missing" : "certificate_unreachable", url, cause);
}

function readable(url: string, pem: string): SigningKey {
  try {
    return parse(pem);
  } catch (cause) {
    throw unverified("certificate_unreachable", url, cause);
  }
}

function unverified(causeCode: UnverifiedError["causeCode"], url: string, cause: unknown): UnverifiedError {
  return new UnverifiedError(causeCode, `Cannot get the SNS certificate ${url}`, { cause });
}

async function readLocal(url: string, path: string): Promise<SigningKey> {
  try {
    return parse(await readFile(path, "utf8"));
  } catch (cause) {
    throw new UnavailableError(`Cannot get the SNS certificate ${url}`, { cause, isOfOneMessage: true });
  }
}

function parse(pem: string): SigningKey {
  const certificate = new X509Certificate(pem);
  return {
    key: certificate.publicKey,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}
