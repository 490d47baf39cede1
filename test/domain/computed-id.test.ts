import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { computedId, timeOfId, uuidOrNull } from "../../src/domain/computed-id.ts";
import { atLength } from "../support/length.ts";

const timeMs = Date.parse("2026-11-20T10:00:00.000Z");

describe("computedId", () => {
  test("is the id that an independent program made of its description", () => {
    // Python: hashlib.sha256(b'["project","message-1"]'), then uuid.UUID(int=time<<80 | 8<<76 | … | 2<<62 | …).
    expect(computedId(1763632769536, ["project", "message-1"])).toBe("019aa0b4-6a00-8fcb-960f-876922c0c988");
  });

  test("has the version and variant of UUIDv8, its time in front, and 74 bits of the hash", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.array(fc.string()), (offset, key) => {
        const id = computedId(timeMs + offset, key);
        const bits = BigInt(`0x${id.replaceAll("-", "")}`);
        const hash = BigInt(`0x${createHash("sha256").update(JSON.stringify(key)).digest("hex")}`);

        expect(id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        expect(Number(bits >> 80n)).toBe(timeMs + offset);
        expect((bits >> 76n) & 0xfn).toBe(8n);
        expect((bits >> 62n) & 0x3n).toBe(0b10n);
        expect((bits >> 64n) & 0xfffn).toBe(hash >> 244n);
        expect(bits & (2n ** 62n - 1n)).toBe((hash >> 180n) & (2n ** 62n - 1n));
      }),
      { numRuns: atLength(200, 1_000) },
    );
  });

  test("gives its time back", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 48 - 1), (ms) => {
        expect(timeOfId(computedId(ms, ["key"]))).toBe(ms);
      }),
      { numRuns: atLength(200, 1_000) },
    );
  });

  test("sorts by time", () => {
    const ids = [0, 1, 255, 65_536, timeMs, 2 ** 48 - 1].map((ms) => computedId(ms, ["key"]));

    expect(ids.toSorted()).toEqual(ids);
  });

  test("clamps times that 48 bits do not hold, and cuts fractions off", () => {
    expect(computedId(-1, ["key"])).toBe(computedId(0, ["key"]));
    expect(computedId(2 ** 48, ["key"])).toBe(computedId(2 ** 48 - 1, ["key"]));
    expect(computedId(5.9, ["key"])).toBe(computedId(5, ["key"]));
  });

  test("joins the parts of a key unambiguously", () => {
    const keys = [["ab", "c"], ["a", "bc"], ["abc"], ["abc", ""], ["", "abc"], ['a","bc'], ["a,bc"], []];

    expect(new Set(keys.map((key) => computedId(timeMs, key))).size).toBe(keys.length);
  });
});

describe("uuidOrNull", () => {
  test("gives a uuid in lower case", () => {
    expect(uuidOrNull("0193C8A0-0000-7000-8000-00000000000F")).toBe("0193c8a0-0000-7000-8000-00000000000f");
  });

  test.each([
    null,
    undefined,
    "",
    "uuid",
    "0193c8a0000070008000000000000000",
    "{0193c8a0-0000-7000-8000-000000000000}",
    "0193c8a0-0000-7000-8000-00000000000",
    "0193c8a0-0000-7000-8000-000000000000\n",
    "g193c8a0-0000-7000-8000-000000000000",
  ])("gives null for %j", (text) => {
    expect(uuidOrNull(text)).toBeNull();
  });
});
