import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type EventDetail, eventDetail, mergeDetails } from "../../src/domain/event-detail.ts";

const autoReply = { bounce_type: "Transient", bounce_subtype: "General" };

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

  test("marks a Transient/General bounce without action, status and diagnostic code as automatic reply", () => {
    const told = { ...autoReply, feedback_id: "f-1", reporting_mta: "dns; mta" };

    expect(eventDetail(told)).toEqual({ ...told, auto_reply: true });
    expect(eventDetail({ ...autoReply, action: null, status_code: null, diagnostic_code: null })).toEqual({
      ...autoReply,
      auto_reply: true,
    });
  });

  test.each<[string, EventDetail]>([
    ["an action", { ...autoReply, action: "failed" }],
    ["a status", { ...autoReply, status_code: "4.0.0" }],
    ["a diagnostic code", { ...autoReply, diagnostic_code: "smtp; 450" }],
    ["another subtype", { ...autoReply, bounce_subtype: "MailboxFull" }],
    ["another type", { ...autoReply, bounce_type: "Permanent" }],
    ["an undetermined type", { bounce_type: "Undetermined", bounce_subtype: "Undetermined" }],
    ["no subtype", { bounce_type: "Transient" }],
    ["no type", { bounce_subtype: "General" }],
    ["nothing at all", {}],
  ])("does not take a bounce with %s for an automatic reply", (_name, told) => {
    expect(eventDetail(told)).toEqual(told);
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
      { machine: "known_bot" },
      { machine: "just_delivered", reclassified: true },
      { kept: "open-1", reclassified: true },
    ),
  )
  .map(([detail, decided]) => ({ ...detail, ...decided }));
const runs = { numRuns: 2_000 };

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
    expect(merged).toBeGreaterThan(1_000);
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
        const { auto_reply: _, ...merged } = mergeDetails(one, other);
        const { auto_reply: __, ...mine } = one;
        const { auto_reply: ___, ...others } = other;
        const values = new Map<string, unknown>(Object.entries(merged));

        expect([...values.keys()].toSorted()).toEqual(
          [...new Set([...Object.keys(mine), ...Object.keys(others)])].toSorted(),
        );
        for (const [key, value] of values) {
          const told = [mine, others].flatMap((detail) =>
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
        const { kept, machine, reclassified } = mergeDetails(known, more);

        expect({ kept, machine, reclassified }).toEqual({
          kept: known.kept,
          machine: known.machine,
          reclassified: known.reclassified,
        });
      }),
      runs,
    );
  });

  test.each<EventDetail>([{ action: "failed" }, { status_code: "4.0.0" }, { diagnostic_code: "smtp; 450" }])(
    "makes an automatic reply a bounce when the other account has %j, in either order",
    (status) => {
      const [reply, bounce] = [eventDetail(autoReply), eventDetail({ ...autoReply, ...status })];

      expect(reply.auto_reply).toBe(true);
      expect(mergeDetails(reply, bounce)).toEqual({ ...autoReply, ...status });
      expect(mergeDetails(bounce, reply)).toBe(bounce);
      expect(mergeDetails(reply, eventDetail(status))).toEqual({ ...autoReply, ...status });
    },
  );

  test("leaves an automatic reply one when neither account has a status", () => {
    const [reply, more] = [eventDetail(autoReply), eventDetail({ ...autoReply, reporting_mta: "dns; mta" })];
    const both = { ...autoReply, reporting_mta: "dns; mta", auto_reply: true };

    expect(mergeDetails(reply, more)).toEqual(both);
    expect(mergeDetails(more, reply)).toEqual(both);
  });

  test("does not take the order of an object's keys for news", () => {
    const known: EventDetail = { link_tags: { a: ["1"], b: ["2"] }, new_preferences: { x: { p: 1, q: 2 } } };

    expect(
      mergeDetails(known, { link_tags: { b: ["2"], a: ["1"] }, new_preferences: { x: { q: 2, p: 1 } } }),
    ).toBe(known);
  });
});
