import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { emptyActivity, foldActivity } from "../../../src/domain/mail/activity.ts";
import {
  addEvents,
  type KnownEvent,
  needsHistory,
  refold,
} from "../../../src/domain/mail/activity-change.ts";
import { atLength } from "../../support/length.ts";
import { arrivals, decisionsOf, minute, oneEvent } from "./activity-histories.ts";
import { open, rules, signsOf, stored } from "./changed-activity.ts";

describe("an activity whose discarded events retention has removed", () => {
  test("is the same when it is folded anew, and when the removed ones are told again", () => {
    let removed = 0;
    fc.assert(
      fc.property(arrivals, ({ batches, rules: ruled }) => {
        const store = stored();
        for (const batch of batches) store.apply(batch, ruled);
        const before = store.state();
        for (const { id, discarded } of [...store.events.values()]) {
          if (discarded === null) continue;
          store.events.delete(id);
          removed++;
        }

        const anew = refold([...store.events.values()], () => false, ruled, before);
        expect(anew.state).toEqual(before);
        expect(anew.decisions).toEqual([]);
        for (const batch of batches) store.apply(batch, ruled);
        expect(store.state()).toEqual(before);
      }),
      { numRuns: atLength(200, 2_000) },
    );
    expect(removed).toBeGreaterThan(atLength(25, 500));
  });
});

describe("events that arrive in any order, split and repeated", () => {
  test("end in the state and the decisions of one fold over all of them", () => {
    const paths = { added: 0, refolded: 0 };
    const decided = { repeats: 0, replies: 0 };
    fc.assert(
      fc.property(arrivals, ({ batches, events, rules: ruled }) => {
        const store = stored();
        for (const batch of batches) store.apply(batch, ruled);
        paths.added += store.paths.added;
        paths.refolded += store.paths.refolded;

        const discards = [...store.events.values()].flatMap(({ id, discarded, detail }) =>
          discarded === null ? [] : [[id, { reason: discarded, ...signsOf(detail) }]],
        );
        const replies = [...store.events.values()].filter(({ detail }) => detail.auto_reply);
        decided.replies += replies.length;
        decided.repeats += [...store.events.values()].filter(
          ({ discarded }) => discarded === "repeat",
        ).length;
        expect({
          state: store.state(),
          discards: Object.fromEntries(discards),
          replies: replies.map(({ id }) => id).toSorted(),
        }).toEqual(decisionsOf(foldActivity(events, ruled)));
        const counting = [...store.events.values()].filter(({ discarded }) => discarded === null);
        const isMarked = ({ detail }: KnownEvent) => detail.kept ?? detail.machine ?? detail.reclassified;
        expect(counting.filter((event) => isMarked(event) !== undefined)).toEqual([]);
        const wereTold = [...store.events.values()].filter(({ id }) => store.told.includes(id));
        expect(
          wereTold.filter(({ discarded, detail }) => discarded !== null && !detail.reclassified),
        ).toEqual([]);
        expect(new Set(store.events.keys())).toEqual(new Set(events.map(({ id }) => id)));
        expect(counting.filter(({ id }) => !store.told.includes(id))).toEqual([]);
      }),
      { numRuns: atLength(200, 3_000) },
    );
    expect(paths.added).toBeGreaterThan(atLength(30, 1_000));
    expect(paths.refolded).toBeGreaterThan(atLength(15, 500));
    expect(Math.min(decided.repeats, decided.replies)).toBeGreaterThan(atLength(15, 500));
  });
});

describe("needsHistory", () => {
  const { state } = foldActivity([open(0), open(30 * minute)], rules);

  test("for an open before the last counted one", () => {
    expect(needsHistory(state, [open(30 * minute - 1)])).toBe(true);
    expect(needsHistory(state, [open(60 * minute), open(-1)])).toBe(true);
    expect(needsHistory(state, [open(30 * minute + 1)])).toBe(false);
    expect(needsHistory(emptyActivity, [open(0)])).toBe(false);
  });

  test("for an open at the time of the last counted one only when its id comes before", () => {
    const withId = (id: string) => oneEvent("opened", 0, {}, id);
    const last = foldActivity([withId("5")], rules).state;

    expect(needsHistory(last, [withId("4")])).toBe(true);
    expect(needsHistory(last, [withId("6")])).toBe(false);
  });
});

describe("needsHistory for a click", () => {
  const link = { url_clicked: "https://example.org/" };
  const click = (ms: number) => oneEvent("clicked", ms, link);
  const { state } = foldActivity([click(0), click(5000)], rules);

  test("is asked for within a second after the last counted one, and before it", () => {
    expect([-1, 4999, 5000, 5999].map((ms) => needsHistory(state, [click(ms)]))).toEqual(Array(4).fill(true));
    expect(needsHistory(state, [click(6000)])).toBe(false);
    expect(needsHistory(emptyActivity, [click(0)])).toBe(false);
  });

  test("is asked for where clicks were counted before that was noted", () => {
    expect(needsHistory({ ...state, last_counted_click_at: null }, [click(60_000)])).toBe(true);
  });
});

describe("addEvents", () => {
  test("tells what the new events came to: decisions only for the discarded ones", () => {
    const [first, within, click] = [open(0), open(8 * minute), oneEvent("clicked", 9 * minute)];

    const { state, decisions, counted } = addEvents(emptyActivity, [click, within, first], rules);

    expect(state).toMatchObject({ open_count: 1, click_count: 1, last_counted_open_id: first.id });
    expect(decisions.map(({ event, decision }) => [event.id, decision])).toEqual([
      [within.id, { discarded: "open_window", detail: { kept: first.id } }],
    ]);
    expect(counted.map(({ id }) => id)).toEqual([click.id, first.id]);
  });
});
