import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ActivityRules, foldActivity, nothingKnown } from "../../src/domain/activity.ts";
import {
  type ActivityChange,
  addEvents,
  type KnownEvent,
  needsHistory,
  refold,
} from "../../src/domain/activity-change.ts";
import type { EmailEvent } from "../../src/domain/email-event.ts";
import { arrivals, at, decisionsOf, minute, oneEvent } from "./activity-histories.ts";

const rules: ActivityRules = { openWindowSeconds: 1200 };
const open = (ms: number) => oneEvent("opened", ms);

/** What the worker and the database do between them: a gate for repeats, and the stored decisions. */
function stored() {
  let state = nothingKnown;
  const events = new Map<string, KnownEvent>();
  const told: string[] = [];
  const paths = { added: 0, refolded: 0 };
  return {
    events,
    told,
    paths,
    state: () => state,
    apply(batch: readonly EmailEvent[], activityRules: ActivityRules): ActivityChange | null {
      const fresh = [...new Map(batch.map((event) => [event.id, event])).values()].filter(
        ({ id }) => !events.has(id),
      );
      if (fresh.length === 0) return null;
      const isLate = needsHistory(state, fresh);
      paths[isLate ? "refolded" : "added"]++;
      for (const event of fresh) events.set(event.id, { ...event, discarded: null });
      const isNew = ({ id }: EmailEvent) => fresh.some((event) => event.id === id);
      const change = isLate
        ? refold([...events.values()], isNew, activityRules)
        : addEvents(state, fresh, activityRules);
      state = change.state;
      for (const { event, discard } of change.decisions) {
        const { kept: _, ...detail } = event.detail;
        const { id, type, occurred_at } = event;
        const decided = discard ? { ...detail, kept: discard.kept } : detail;
        events.set(id, { id, type, occurred_at, detail: decided, discarded: discard?.reason ?? null });
      }
      told.push(...change.counted.map(({ id }) => id));
      return change;
    },
  };
}

describe("events that arrive in any order, split and repeated", () => {
  test("end in the state and the decisions of one fold over all of them", () => {
    const paths = { added: 0, refolded: 0 };
    fc.assert(
      fc.property(arrivals, ({ batches, events, openWindowSeconds }) => {
        const store = stored();
        for (const batch of batches) store.apply(batch, { openWindowSeconds });
        paths.added += store.paths.added;
        paths.refolded += store.paths.refolded;

        const discards = [...store.events.values()].flatMap(({ id, discarded, detail }) =>
          discarded === null ? [] : [[id, { reason: discarded, kept: detail.kept }]],
        );
        expect({ state: store.state(), discards: Object.fromEntries(discards) }).toEqual(
          decisionsOf(foldActivity(events, { openWindowSeconds })),
        );
        const counting = [...store.events.values()].filter(({ discarded }) => discarded === null);
        expect(counting.filter(({ detail }) => detail.kept !== undefined)).toEqual([]);
        expect(counting.filter(({ id }) => !store.told.includes(id))).toEqual([]);
      }),
      { numRuns: 3_000 },
    );
    expect(paths.added).toBeGreaterThan(1_000);
    expect(paths.refolded).toBeGreaterThan(500);
  });
});

describe("needsHistory", () => {
  const { state } = foldActivity([open(0), open(30 * minute)], rules);

  test("only for an open before the last counted one", () => {
    expect(needsHistory(state, [open(30 * minute - 1)])).toBe(true);
    expect(needsHistory(state, [open(60 * minute), open(-1)])).toBe(true);
    expect(needsHistory(state, [open(30 * minute + 1)])).toBe(false);
    expect(needsHistory(state, [oneEvent("delivered", -1), oneEvent("clicked", -1)])).toBe(false);
    expect(needsHistory(nothingKnown, [open(0)])).toBe(false);
  });

  test("for an open at the time of the last counted one only when its id comes before", () => {
    const withId = (id: string) => oneEvent("opened", 0, {}, id);
    const last = foldActivity([withId("5")], rules).state;

    expect(needsHistory(last, [withId("4")])).toBe(true);
    expect(needsHistory(last, [withId("6")])).toBe(false);
  });
});

describe("addEvents", () => {
  test("tells what the new events came to: decisions only for the discarded ones", () => {
    const [first, within, click] = [open(0), open(8 * minute), oneEvent("clicked", 9 * minute)];

    const { state, decisions, counted } = addEvents(nothingKnown, [click, within, first], rules);

    expect(state).toMatchObject({ open_count: 1, click_count: 1, last_counted_open_id: first.id });
    expect(decisions.map(({ event, discard }) => [event.id, discard])).toEqual([
      [within.id, { reason: "open_window", kept: first.id }],
    ]);
    expect(counted.map(({ id }) => id)).toEqual([click.id, first.id]);
  });
});

describe("an open that arrives late", () => {
  test("turns decisions round: what had counted is discarded, what had not counts and is told", () => {
    const store = stored();
    const [late, first, second] = [open(0), open(10 * minute), open(25 * minute)];
    store.apply([first], rules);
    store.apply([second], rules);
    expect(store.events.get(second.id)).toMatchObject({
      discarded: "open_window",
      detail: { kept: first.id },
    });

    const change = store.apply([late], rules);

    expect(change?.decisions.map(({ event, discard }) => [event.id, discard])).toEqual([
      [first.id, { reason: "open_window", kept: late.id }],
      [second.id, null],
    ]);
    expect(change?.counted.map(({ id }) => id)).toEqual([second.id, late.id]);
    expect(change?.state).toMatchObject({
      open_count: 2,
      opened_first_at: at(0),
      last_counted_open_id: second.id,
    });
  });

  test("that changes no reason but the open that stood is told as a decision, and not to webhooks", () => {
    const store = stored();
    const [late, first, second] = [open(0), open(5 * minute), open(8 * minute)];
    store.apply([first, second], rules);

    const change = store.apply([late], rules);

    expect(change?.decisions.map(({ event, discard }) => [event.id, discard])).toEqual([
      [first.id, { reason: "open_window", kept: late.id }],
      [second.id, { reason: "open_window", kept: late.id }],
    ]);
    expect(change?.counted.map(({ id }) => id)).toEqual([late.id]);
    expect(store.told).toEqual([first.id, late.id]);
  });
});
