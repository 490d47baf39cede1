import { randomBytes, randomUUID } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  boundToHeadersOf,
  createSecretBox,
  idOfEncryptionKey,
  UnknownEncryptionKeyError,
} from "../../src/webhooks/secret-box.ts";

const key = randomBytes(32);
const olderKey = randomBytes(32);
const endpointId = randomUUID();
const secret = "whsec_ünïcode";

describe("what was sealed", () => {
  const box = createSecretBox([key]);

  test.each([secret, "", "x".repeat(100_000)])("opens for what it is bound to: %.20s", (text) => {
    expect(box.open(box.seal(text, endpointId), endpointId)).toBe(text);
  });

  test("does not hold the text, and is never the same twice", () => {
    const [first, second] = [box.seal(secret, endpointId), box.seal(secret, endpointId)];

    expect(first.includes(secret)).toBe(false);
    expect(first.equals(second)).toBe(false);
  });

  test("opens for nothing else: not for another endpoint, and as headers not as a secret", () => {
    const changed = "It was encrypted for something else, or was changed since";
    const headers = box.seal("{}", boundToHeadersOf(endpointId));

    expect(() => box.open(box.seal(secret, endpointId), randomUUID())).toThrow(changed);
    expect(() => box.open(headers, endpointId)).toThrow(changed);
    expect(box.open(headers, boundToHeadersOf(endpointId))).toBe("{}");
  });

  test("does not open when any byte of it was changed", () => {
    const sealed = box.seal("secret", endpointId);

    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed);
      changed.writeUInt8((changed.readUInt8(index) + 1) % 256, index);
      expect(() => box.open(changed, endpointId), `byte ${index}`).toThrow(/^It (is|was) /);
    }
  });

  test.each([0, 1, 5, 32])("is malformed when only %i bytes of it are there", (length) => {
    const sealed = box.seal("secret", endpointId);

    expect(() => box.open(sealed.subarray(0, length), endpointId)).toThrow("It is malformed");
  });
});

describe("with several keys", () => {
  const box = createSecretBox([key, olderKey]);

  test("the first one seals, and its id stands in what it sealed", () => {
    const sealed = box.seal(secret, endpointId);

    expect(box.encryptionKeyId).toEqual(idOfEncryptionKey(key));
    expect(sealed.subarray(1, 5)).toEqual(box.encryptionKeyId);
    expect(createSecretBox([key]).open(sealed, endpointId)).toBe(secret);
    expect(() => createSecretBox([olderKey]).open(sealed, endpointId)).toThrow(UnknownEncryptionKeyError);
  });

  test("each opens what was sealed with it, in whatever order they are given", () => {
    const sealed = createSecretBox([olderKey]).seal(secret, endpointId);

    expect(box.open(sealed, endpointId)).toBe(secret);
    expect(createSecretBox([randomBytes(32), olderKey, key]).open(sealed, endpointId)).toBe(secret);
    expect(createSecretBox([key, key, olderKey]).open(sealed, endpointId)).toBe(secret);
  });

  test("an unknown key is reported differently from a change, without revealing keys", () => {
    const unknown = randomBytes(32);
    const sealed = createSecretBox([unknown]).seal(secret, endpointId);

    expect(() => box.open(sealed, endpointId)).toThrow(UnknownEncryptionKeyError);
    expect(new UnknownEncryptionKeyError().message).toContain(
      "a key that is neither ENCRYPTION_KEY nor among ENCRYPTION_KEY_PREVIOUS",
    );
  });
});

test("opens what was sealed by the version before keys could be rotated", () => {
  const sealed = Buffer.from("AXLNboSVqoa8DIlY6bGq1RYxyrT6HoT4an5n3php+9iFhrIxdG9s5Hn+", "base64");
  const box = createSecretBox([key, Buffer.alloc(32, 1)]);

  expect(box.open(sealed, "0198c1a2-0000-7000-8000-000000000001")).toBe("whsec_old");
});

test("there is none without a key", () => {
  expect(() => createSecretBox([])).toThrow("needs a key");
});
