import { describe, expect, test } from "vitest";
import { decodeCursor, encodeCursor } from "../../src/domain/cursor.ts";

const id = "0193c8a0-0000-7000-8000-00000000000f";
const encoded = (text: string) => Buffer.from(text).toString("base64url");

describe("a cursor", () => {
  test.each(["2026-11-20T10:00:00.123456Z", "2024-02-29T00:00:00.000000Z", "0001-01-01T00:00:00.000000Z"])(
    "at %s comes back with all its microseconds, and can stand in a URL",
    (time) => {
      const text = encodeCursor({ time, id });

      expect(decodeCursor(text)).toEqual({ time, id });
      expect(encodeURIComponent(text)).toBe(text);
    },
  );

  test.each([
    "",
    "/",
    "garbage",
    id,
    "2026-11-20T10:00:00.123456Z",
    `2026-11-20T10:00:00.123456Z/${id}/`,
    `2026-11-20T10:00:00.123456Z/not-an-id`,
    `2026-11-20T10:00:00.123456Z/${id}'`,
    `2026-11-20T10:00:00.123Z/${id}`,
    `2026-11-20 10:00:00.123456Z/${id}`,
    `2026-13-20T10:00:00.123456Z/${id}`,
    `2026-02-30T10:00:00.123456Z/${id}`,
    `2023-02-29T10:00:00.123456Z/${id}`,
    `2026-11-20T24:00:00.000000Z/${id}`,
    `2026-11-20T10:61:00.000000Z/${id}`,
    `0000-01-01T00:00:00.000000Z/${id}`,
    `infinity/${id}`,
    `/${id}`,
  ])("is null for the text %j, which Postgres could not take or we did not make", (text) => {
    expect(decodeCursor(encoded(text))).toBeNull();
  });

  test.each(["", "garbage", "%%%", "ÿ"])("is null for %j, which is not encoded", (text) => {
    expect(decodeCursor(text)).toBeNull();
  });
});
