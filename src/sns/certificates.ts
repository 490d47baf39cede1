import { type KeyObject, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Dispatcher } from "undici";
import { UnavailableError } from "../domain/errors.ts";
import { get } from "./get.ts";

/** A signing certificate, parsed once. */
export type SigningKey = { key: KeyObject; validFrom: Date; validTo: Date };

/** Where the keys come from that verify SNS messages. */
export type Certificates = {
  /**
   * Answers without a promise once the key is known, so that verifying stays synchronous.
   * @param url held to the rule by the caller: nothing else is fetched.
   * @throws UnavailableError when it cannot be fetched or read now.
   */
  keyOf(url: string): SigningKey | Promise<SigningKey>;
};

const failureRemembersMs = 5_000;
/** AWS changes its certificate about once a year, and each region has one. */
const maxRemembered = 500;
/** Bounds what somebody can make us fetch by posting invented certificate names. */
const maxFetches = 8;

export type CertificatesOptions = {
  /** Exact SigningCertURL → path of a PEM file. */
  localCertificates: ReadonlyMap<string, string>;
  dispatcher: Dispatcher;
  now: () => Date;
};

/** Fetches each certificate once, however many messages wait for it. */
export function createCertificates({
  localCertificates,
  dispatcher,
  now,
}: CertificatesOptions): Certificates {
  const known = new Map<string, SigningKey>();
  const fetching = new Map<string, Promise<SigningKey>>();
  const failed = new Map<string, { error: unknown; untilMs: number }>();

  async function load(url: string): Promise<SigningKey> {
    try {
      const path = localCertificates.get(url);
      const key = parse(path === undefined ? await fetchPem(url, dispatcher) : await readFile(path, "utf8"));
      if (known.size >= maxRemembered) known.clear();
      known.set(url, key);
      return key;
    } catch (cause) {
      const error = new UnavailableError(`Cannot get the SNS certificate ${url}`, {
        cause,
        isOfOneMessage: true,
      });
      if (failed.size >= maxRemembered) failed.clear();
      failed.set(url, { error, untilMs: now().getTime() + failureRemembersMs });
      throw error;
    } finally {
      fetching.delete(url);
    }
  }

  return {
    keyOf(url) {
      const key = known.get(url);
      if (key) return key;
      const failure = failed.get(url);
      if (failure && now().getTime() < failure.untilMs) throw failure.error;
      const underWay = fetching.get(url);
      if (underWay) return underWay;
      if (fetching.size >= maxFetches)
        throw new UnavailableError("Too many SNS certificates are being fetched", { isOfOneMessage: true });
      const started = load(url);
      fetching.set(url, started);
      return started;
    },
  };
}

async function fetchPem(url: string, dispatcher: Dispatcher): Promise<string> {
  const { status, text } = await get(url, dispatcher);
  if (status !== 200) throw new Error(`the answer was ${status}`);
  return text;
}

function parse(pem: string): SigningKey {
  const certificate = new X509Certificate(pem);
  return {
    key: certificate.publicKey,
    validFrom: new Date(certificate.validFrom),
    validTo: new Date(certificate.validTo),
  };
}
