import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** Encrypts secrets at rest. */
export type SecretBox = {
  /** Of the key that seals. It follows the first byte of everything that was sealed with it. */
  keyId: Buffer;
  /** @param boundTo what the secret belongs to; it opens for nothing else. */
  seal(secret: string, boundTo: string): Buffer;
  /**
   * Opens what was sealed with any of the keys.
   * @throws UnknownKeyError when it was sealed with another one.
   * @throws when it was sealed for something else, or was changed.
   */
  open(sealed: Buffer, boundTo: string): string;
};

/** Something was sealed with a key that we do not have. */
export class UnknownKeyError extends Error {
  override readonly name = "UnknownKeyError";

  constructor() {
    super(
      "It was encrypted with a key that is neither ENCRYPTION_KEY nor among ENCRYPTION_KEY_PREVIOUS (without these: that is not in encryption.key of DATA_DIR)",
    );
  }
}

const version = 1;
const keyIdBytes = 4;
const ivBytes = 12;
const tagBytes = 16;
const headBytes = 1 + keyIdBytes + ivBytes + tagBytes;

/**
 * AES-256-GCM. Layout: version, key id, IV, tag, ciphertext.
 * @param keys of 32 bytes. The first one seals; each opens what was sealed with it.
 */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const [sealingKey] = keys;
  if (sealingKey === undefined) throw new Error("A secret box needs a key");
  const keyId = keyIdOf(sealingKey);
  const known = keys.map((key) => ({ id: keyIdOf(key), key }));
  return {
    keyId,
    seal(secret, boundTo) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", sealingKey, iv).setAAD(Buffer.from(boundTo));
      const ciphertext = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(version), keyId, iv, cipher.getAuthTag(), ciphertext]);
    },
    open(sealed, boundTo) {
      if (sealed[0] !== version || sealed.length < headBytes) throw new Error("It is malformed");
      const idInside = sealed.subarray(1, 1 + keyIdBytes);
      const match = known.find(({ id }) => id.equals(idInside));
      if (match === undefined) throw new UnknownKeyError();
      return decrypt(match.key, sealed, boundTo);
    },
  };
}

/** Tells keys apart without telling them. */
export function keyIdOf(key: Buffer): Buffer {
  return createHash("sha256").update(key).digest().subarray(0, keyIdBytes);
}

/** What the headers of an endpoint are bound to; its secrets are bound to its id. */
export function boundToHeadersOf(endpointId: string): string {
  return `${endpointId}/headers`;
}

function decrypt(key: Buffer, sealed: Buffer, boundTo: string): string {
  const iv = sealed.subarray(1 + keyIdBytes, 1 + keyIdBytes + ivBytes);
  const tag = sealed.subarray(headBytes - tagBytes, headBytes);
  const decipher = createDecipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(boundTo)).setAuthTag(tag);
  try {
    return decipher.update(sealed.subarray(headBytes), undefined, "utf8") + decipher.final("utf8");
  } catch (cause) {
    throw new Error("It was encrypted for something else, or was changed since", { cause });
  }
}

/** What is sent with an endpoint's webhooks and nobody else may know. */
export type EndpointKeys = {
  /** `whsec_…`, the newest first. */
  secrets: string[];
  /** The customer's own headers. */
  headers: Record<string, string>;
};

/** @throws when they were encrypted with a key that we do not have. */
export function openKeys(
  secretBox: SecretBox,
  endpoint: { id: string; sealed_secrets: readonly Buffer[]; sealed_headers: Buffer | null },
): EndpointKeys {
  const { id, sealed_secrets, sealed_headers } = endpoint;
  return {
    secrets: sealed_secrets.map((sealed) => secretBox.open(sealed, id)),
    headers: sealed_headers === null ? {} : JSON.parse(secretBox.open(sealed_headers, boundToHeadersOf(id))),
  };
}

/** @returns null for no headers. */
export function sealHeaders(
  secretBox: SecretBox,
  endpointId: string,
  headers: Readonly<Record<string, string>>,
): Buffer | null {
  if (Object.keys(headers).length === 0) return null;
  return secretBox.seal(JSON.stringify(headers), boundToHeadersOf(endpointId));
}
