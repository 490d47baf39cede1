import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EventDetail, eventDetail, mergeDetails } from "../../../src/domain/mail/event-detail.ts";
import { atLength } from "../../support/length.ts";

describe("eventDetail", () => {
  test("leaves out what is null or undefined, and nothing else", () => {
    const fields = {
      user_agent: null,
      ip_address: undefined,
      url_clicked: "",
      processing_time_ms: 0,
      recipient_certain: false as const,
      new_preferences: { topics: null },
      old_preferences: null,
    };

    const detail = eventDetail(fields);

    expect(Object.entries(detail)).toEqual([
      ["url_clicked", ""],
      ["processing_time_ms", 0],
      ["recipient_certain", false],
      ["new_preferences", { topics: null }],
    ]);
  });
});

const preferences = fc.option(
  fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom<unknown>("In", "Out", null, ["x"])),
  { nil: undefined },
);
const text = (...values: string[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
/** What an account of one event may tell; few values, so that two of them meet in a key. */
const account: fc.Arbitrary<EventDetail> = fc
  .record({
    bounce_type: text("Transient", "Permanent"),
    bounce_subtype: text("General", "MailboxFull"),
    action: text("failed"),
    status_code: text("4.0.0", "5.1.1"),
    diagnostic_code: text("smtp; 450", "smtp; 550"),
    user_agent: text("UA", "U", "UA, and more", ""),
    is_bot_event: text("Likely", "Unlikely"),
    processing_time_ms: fc.option(fc.constantFrom(0, 9, 10), { nil: undefined }),
    recipient_certain: fc.option(fc.constant(false as const), { nil: undefined }),
    link_tags: fc.option(
      fc.dictionary(fc.constantFrom("k", "l"), fc.array(fc.constantFrom("x", "y"), { maxLength: 2 })),
      { nil: undefined },
    ),
    new_preferences: preferences,
  })
  .map(eventDetail);
const withDecisions = fc
  .tuple(
    account,
    fc.constantFrom<EventDetail>(
      {},
      { kept: "open-1" },
      { machine: "agent" },
      { machine: "delivery", reclassified: true },
      { auto_reply: true },
      { kept: "open-1", reclassified: true },
    ),
  )
  .map(([detail, decided]) => ({ ...detail, ...decided }));
const runs = { numRuns: atLength(200, 2_000) };

describe("mergeDetails", () => {
  test("is the same whichever account comes first", () => {
    let merged = 0;
    fc.assert(
      fc.property(account, account, (one, other) => {
        const both = mergeDetails(one, other);
        if (both !== one) merged++;

        expect(mergeDetails(other, one)).toEqual(both);
      }),
      runs,
    );
    expect(merged).toBeGreaterThan(atLength(50, 1_000));
  });

  test("is the same however accounts are grouped", () => {
    fc.assert(
      fc.property(account, account, account, (one, two, three) => {
        expect(mergeDetails(mergeDetails(one, two), three)).toEqual(
          mergeDetails(one, mergeDetails(two, three)),
        );
      }),
      runs,
    );
  });

  test("returns the very same object when the account adds nothing to it", () => {
    fc.assert(
      fc.property(withDecisions, account, (known, more) => {
        const merged = mergeDetails(known, more);

        expect(mergeDetails(known, known)).toBe(known);
        expect(mergeDetails(known, structuredClone(known))).toBe(known);
        expect(mergeDetails(known, {})).toBe(known);
        expect(mergeDetails(merged, more)).toBe(merged);
      }),
      runs,
    );
  });

  test("has every key that an account tells, with the value of one of them", () => {
    fc.assert(
      fc.property(account, account, (one, other) => {
        const values = new Map<string, unknown>(Object.entries(mergeDetails(one, other)));

        expect([...values.keys()].toSorted()).toEqual(
          [...new Set([...Object.keys(one), ...Object.keys(other)])].toSorted(),
        );
        for (const [key, value] of values) {
          const told = [one, other].flatMap((detail) =>
            Object.entries(detail).flatMap(([name, one]) => (name === key ? [one] : [])),
          );
          expect(told).toContainEqual(value);
        }
      }),
      runs,
    );
  });

  test("keeps what was decided about the known event", () => {
    fc.assert(
      fc.property(withDecisions, account, (known, more) => {
        const { kept, machine, reclassified, auto_reply } = mergeDetails(known, more);

        expect({ kept, machine, reclassified, auto_reply }).toEqual({
          kept: known.kept,
          machine: known.machine,
          reclassified: known.reclassified,
          auto_reply: known.auto_reply,
        });
      }),
      runs,
    );
  });

  test("does not take the order of an object's keys for news", () => {
    const known: EventDetail = { link_tags: { a: ["1"], b: ["2"] }, new_preferences: { x: { p: 1, q: 2 } } };

    expect(
      mergeDetails(known, { link_tags: { b: ["2"], a: ["1"] }, new_preferences: { x: { q: 2, p: 1 } } }),
    ).toBe(known);
  });
});
