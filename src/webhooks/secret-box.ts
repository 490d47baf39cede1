import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";

/** Encrypts endpoint secrets and headers at rest, with encryption keys. */
export type SecretBox = {
  /** The id of the key that `seal` uses. It is written after the first byte of everything sealed. */
  encryptionKeyId: Buffer;
  /** @param boundTo what the secret belongs to; `open` must be given the same. */
  seal(secret: string, boundTo: string): Buffer;
  /**
   * Opens what was sealed with any of the keys.
   * @throws UnknownEncryptionKeyError if it was sealed with another key.
   * @throws if it was sealed for another `boundTo`, or was changed.
   */
  open(sealed: Buffer, boundTo: string): string;
};

/** Something was sealed with an encryption key that this process does not have. */
export class UnknownEncryptionKeyError extends Error {
  override readonly name = "UnknownEncryptionKeyError";

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
 * @param keys 32 bytes each. The first one seals; each opens what was sealed with it.
 */
export function createSecretBox(keys: readonly Buffer[]): SecretBox {
  const [sealingKey] = keys;
  if (sealingKey === undefined) throw new Error("A secret box needs a key");
  const encryptionKeyId = idOfEncryptionKey(sealingKey);
  const known = keys.map((key) => ({ id: idOfEncryptionKey(key), key }));
  return {
    encryptionKeyId,
    seal(secret, boundTo) {
      const iv = randomBytes(ivBytes);
      const cipher = createCipheriv("aes-256-gcm", sealingKey, iv).setAAD(Buffer.from(boundTo));
      const ciphertext = Buffer.concat([cipher.update(secret, "utf8"), cipher.final()]);
      return Buffer.concat([Buffer.of(version), encryptionKeyId, iv, cipher.getAuthTag(), ciphertext]);
    },
    open(sealed, boundTo) {
      if (sealed[0] !== version || sealed.length < headBytes) throw new Error("It is malformed");
      const idInside = sealed.subarray(1, 1 + keyIdBytes);
      const match = known.find(({ id }) => id.equals(idInside));
      if (match === undefined) throw new UnknownEncryptionKeyError();
      return decrypt(match.key, sealed, boundTo);
    },
  };
}

/** Identifies a key without revealing it: the first bytes of its SHA-256. */
export function idOfEncryptionKey(key: Buffer): Buffer {
  return createHash("sha256").update(key).digest().subarray(0, keyIdBytes);
}

/** The `boundTo` of an endpoint's headers; that of its secrets is the endpoint's id. */
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

/** What an endpoint's webhooks are signed and sent with, decrypted. */
export type EndpointSecrets = {
  /** `whsec_…`, the newest first. */
  secrets: string[];
  /** The customer's own headers. */
  headers: Record<string, string>;
};

/** @throws UnknownEncryptionKeyError */
export function openEndpointSecrets(
  secretBox: SecretBox,
  endpoint: { id: string; sealed_secrets: readonly Buffer[]; sealed_headers: Buffer | null },
): EndpointSecrets {
  const { id, sealed_secrets, sealed_headers } = endpoint;
  return {
    secrets: sealed_secrets.map((sealed) => secretBox.open(sealed, id)),
    headers: sealed_headers === null ? {} : JSON.parse(secretBox.open(sealed_headers, boundToHeadersOf(id))),
  };
}

/** @returns null for no headers. */
export function sealEndpointHeaders(
  secretBox: SecretBox,
  endpointId: string,
  headers: Readonly<Record<string, string>>,
): Buffer | null {
  if (Object.keys(headers).length === 0) return null;
  return secretBox.seal(JSON.stringify(headers), boundToHeadersOf(endpointId));
}
