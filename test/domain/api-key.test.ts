import { describe, expect, test } from "vitest";
import { allows, apiKey, apiKeyHash, apiKeyPrefix, keyOfHeader, scopes } from "../../src/domain/api-key.ts";

const key = apiKey(Buffer.alloc(32, 0xff));

test("a key is sk_proj_ and 32 bytes in URL-safe base64", () => {
  expect(key).toBe(`sk_proj_${"_".repeat(42)}8`);
  expect(apiKey(Buffer.alloc(32, 0xfb))).toMatch(/^sk_proj_[A-Za-z0-9_-]{43}$/);
});

test("a key is kept as its SHA-256 and shown by its first six characters", () => {
  // printf 'sk_proj_a' | sha256sum
  expect(apiKeyHash("sk_proj_a").toString("hex")).toBe(
    "97746b1a162e2d3cf30e543c9efe3edc0d2aedf4ffc95992d628c24a808e4617",
  );
  expect(apiKeyPrefix("sk_proj_abcdefghijkl")).toBe("sk_proj_abcdef");
});

describe("keyOfHeader", () => {
  test.each([key, `Bearer ${key}`, `bearer   ${key} `, ` ${key}`])("finds the key in %j", (header) => {
    expect(keyOfHeader(header)).toBe(key);
  });

  test.each([
    undefined,
    "",
    "Bearer ",
    "Bearer",
    `Basic ${key}`,
    `Token ${key}`,
    "Bearer sk_test_a",
    `x${key}`,
  ])("finds none in %j", (header) => {
    expect(keyOfHeader(header)).toBeNull();
  });
});

describe("allows", () => {
  test.each(scopes)("%s when it or * is granted, and not otherwise", (scope) => {
    const others = scopes.filter((other) => other !== scope);

    expect(allows([scope], scope)).toBe(true);
    expect(allows(["*"], scope)).toBe(true);
    expect(allows(others, scope)).toBe(false);
    expect(allows([], scope)).toBe(false);
    expect(allows([scope.split(":")[0] ?? "", "events:*"], scope)).toBe(false);
  });
});
