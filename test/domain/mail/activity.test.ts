import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyActivity, foldActivity } from "../../../src/domain/mail/activity.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import { atLength } from "../../support/length.ts";
import { decisionsOf, history, historyInTwoOrders } from "./activity-histories.ts";
import {
  earliest,
  fold,
  highest,
  inOrder,
  isComplaint,
  isMachines,
  isReply,
  timeOf,
} from "./activity-parts.ts";

describe("foldActivity", () => {
  test("of nothing is an activity that is queued", () => {
    expect(fold()).toEqual({ state: emptyActivity, discards: new Map(), replies: new Set() });
    expect(emptyActivity.current_status).toBe("queued");
  });

  test("is the same for every order of the same events", () => {
    fc.assert(
      fc.property(historyInTwoOrders, ({ one, other, rules: ruled }) => {
        expect(decisionsOf(foldActivity(other, ruled))).toEqual(decisionsOf(foldActivity(one, ruled)));
      }),
      { numRuns: atLength(200, 2_000) },
    );
  });

  test("counts people's opens at least a window apart, and discards each other one with its reason", () => {
    const reasons = { open_window: 0, machine: 0, repeat: 0 };
    fc.assert(
      fc.property(history, ({ events, rules: ruled }) => {
        const { state, discards } = foldActivity(events, ruled);
        const opens = events.filter((event) => event.type === "opened" && !isMachines(event, events, ruled));
        const counted = inOrder(opens.filter(({ id }) => !discards.has(id)));

        expect(state.open_count).toBe(counted.length);
        expect(counted[0]).toBe(inOrder(opens)[0]);
        for (const [index, later] of counted.slice(1).entries()) {
          const gapMs = timeOf(later) - timeOf(counted[index] as EmailEvent);
          expect(gapMs).toBeGreaterThanOrEqual(ruled.openWindowSeconds * 1000);
        }
        for (const [id, discard] of discards) {
          const event = events.find((one) => one.id === id) as EmailEvent;
          reasons[discard.reason]++;
          expect(discard.reason === "machine").toBe(isMachines(event, events, ruled));
          if (discard.reason !== "open_window") continue;
          const keptOpen = counted.find((one) => one.id === discard.kept) as EmailEvent;
          const gapMs = timeOf(event) - timeOf(keptOpen);
          expect(event.type).toBe("opened");
          expect(gapMs).toBeGreaterThanOrEqual(0);
          expect(gapMs).toBeLessThan(ruled.openWindowSeconds * 1000);
        }
      }),
      { numRuns: atLength(200, 2_000) },
    );
    expect(reasons.open_window).toBeGreaterThan(atLength(10, 200));
    expect(reasons.machine).toBeGreaterThan(atLength(25, 500));
    expect(reasons.repeat).toBeGreaterThan(atLength(10, 200));
  });

  test("has the highest status and the earliest time of each kind", () => {
    fc.assert(
      fc.property(history, ({ events, rules: ruled }) => {
        const { state } = foldActivity(events, ruled);
        const people = events.filter((event) => !isMachines(event, events, ruled));
        const bounces = events.filter((event) => !isReply(event, events));

        expect(state).toMatchObject({
          current_status: highest(events),
          delivered_at: earliest(events, "delivered"),
          bounced_at: earliest(bounces, "bounced"),
          complained_at: earliest(events.filter(isComplaint), "complained"),
          opened_first_at: earliest(people, "opened"),
          opened_any_first_at: earliest(events, "opened"),
          clicked_first_at: earliest(people, "clicked"),
          clicked_any_first_at: earliest(events, "clicked"),
          recipient_certain: events.every(({ detail }) => detail.recipient_certain !== false),
        });
      }),
      { numRuns: atLength(200, 2_000) },
    );
  });
});

describe("a fold loses nothing", () => {
  test("opens and clicks are counted or discarded with a reason, and nothing else is ever discarded", () => {
    fc.assert(
      fc.property(history, ({ events, rules: ruled }) => {
        const { state, discards } = foldActivity(events, ruled);
        const seen = events.filter(({ type }) => type === "opened" || type === "clicked");
        const keptIds = [...discards.values()].flatMap((one) => ("kept" in one ? [one.kept] : []));
        const countedIds = seen.map(({ id }) => id).filter((id) => !discards.has(id));

        expect(state.open_count + state.click_count + discards.size).toBe(seen.length);
        expect(seen.map(({ id }) => id)).toEqual(expect.arrayContaining([...discards.keys()]));
        expect(countedIds).toEqual(expect.arrayContaining(keptIds));
      }),
      { numRuns: atLength(200, 2_000) },
    );
  });

  test("no machine can hide the earliest open and click of all", () => {
    let machinesFirst = 0;
    fc.assert(
      fc.property(history, ({ events, rules: ruled }) => {
        const { state } = foldActivity(events, ruled);
        const { opened_any_first_at: any, opened_first_at: first } = state;
        if (any !== null && first?.getTime() !== any.getTime()) machinesFirst++;

        expect([any, state.clicked_any_first_at]).toEqual([
          earliest(events, "opened"),
          earliest(events, "clicked"),
        ]);
        expect(first === null || (any !== null && any <= first)).toBe(true);
      }),
      { numRuns: atLength(200, 2_000) },
    );
    expect(machinesFirst).toBeGreaterThan(atLength(10, 200));
  });

  test("with the filter off nothing is a machine's", () => {
    fc.assert(
      fc.property(history, ({ events, rules: ruled }) => {
        const { state, discards } = foldActivity(events, { ...ruled, machineFilter: false });

        expect([...discards.values()].filter(({ reason }) => reason === "machine")).toEqual([]);
        expect(state.clicked_first_at).toEqual(earliest(events, "clicked"));
        expect(state.opened_first_at).toEqual(earliest(events, "opened"));
      }),
      { numRuns: atLength(200, 2_000) },
    );
  });
});
