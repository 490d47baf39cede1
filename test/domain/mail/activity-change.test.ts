import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ActivityRules, emptyActivity, foldActivity } from "../../../src/domain/mail/activity.ts";
import {
  type ActivityChange,
  addEvents,
  type KnownEvent,
  needsHistory,
  refold,
} from "../../../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { atLength } from "../../support/length.ts";
import { arrivals, at, decisionsOf, minute, oneEvent, replyLike } from "./activity-histories.ts";

const rules: ActivityRules = { openWindowSeconds: 1200, machineFilter: true };
const open = (ms: number) => oneEvent("opened", ms);

function signsOf({ kept, machine }: EventDetail): Record<string, unknown> {
  return { ...(kept === undefined ? {} : { kept }), ...(machine === undefined ? {} : { machine }) };
}

/** What the worker and the database do between them: a gate for repeats, and the stored decisions. */
function stored() {
  let state = emptyActivity;
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
        ? refold([...events.values()], isNew, activityRules, state)
        : addEvents(state, fresh, activityRules);
      state = change.state;
      for (const { event, decision } of change.decisions) {
        const { kept: _, machine: __, reclassified: ___, auto_reply: ____, ...detail } = event.detail;
        const { id, type, occurred_at } = event;
        const decided = { ...detail, ...decision.detail };
        events.set(id, { id, type, occurred_at, detail: decided, discarded: decision.discarded });
      }
      told.push(...change.counted.map(({ id }) => id));
      return change;
    },
  };
}

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

describe("a click that arrives late", () => {
  test("within a second before one that counted takes its place", () => {
    const store = stored();
    const click = (ms: number) => oneEvent("clicked", ms, { url_clicked: "https://example.org/" });
    const [early, late] = [click(0), click(999)];
    store.apply([late], rules);

    const change = store.apply([early], rules);

    expect(store.events.get(late.id)).toMatchObject({
      discarded: "repeat",
      detail: { kept: early.id, reclassified: true },
    });
    expect(change?.state).toMatchObject({ click_count: 1, clicked_first_at: at(0) });
    expect(store.told).toEqual([late.id, early.id]);
  });
});

describe("a delivery that arrives after a bounce without a delivery status", () => {
  const bounce = (detail: EventDetail = {}) => oneEvent("bounced", 9000, { ...replyLike, ...detail });

  test("makes it an automatic reply", () => {
    const store = stored();
    const replied = bounce();
    expect(store.apply([replied], rules)?.state).toMatchObject({
      current_status: "bounced_soft",
      bounced_at: at(9000),
    });

    const change = store.apply([oneEvent("delivered", 10_000)], rules);

    expect(change?.state).toMatchObject({ current_status: "delivered", bounced_at: null });
    expect(store.events.get(replied.id)).toMatchObject({ discarded: null, detail: { auto_reply: true } });
  });

  test("leaves one that has a delivery status a bounce", () => {
    const store = stored();
    const refused = bounce({ status_code: "4.4.7" });
    store.apply([refused], rules);

    expect(store.apply([oneEvent("delivered", 10_000)], rules)?.state).toMatchObject({
      current_status: "delivered",
      bounced_at: at(9000),
    });
    expect(store.events.get(refused.id)?.detail.auto_reply).toBeUndefined();
  });
});

describe("a delivery that arrives late", () => {
  const person = {
    user_agent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/97.0 Safari/537.36",
  };
  const click = (ms: number) => oneEvent("clicked", ms, person);

  test("asks for the history only when it is the earliest and something was opened or clicked", () => {
    const clicked = foldActivity([oneEvent("delivered", 1000), click(9000)], rules).state;

    expect(needsHistory(clicked, [oneEvent("delivered", 999)])).toBe(true);
    expect(needsHistory(clicked, [oneEvent("delivered", 1000)])).toBe(false);
    expect(needsHistory(foldActivity([click(9000)], rules).state, [oneEvent("delivered", 0)])).toBe(true);
    expect(needsHistory(foldActivity([open(9000)], rules).state, [oneEvent("delivered", 0)])).toBe(true);
    expect(needsHistory(foldActivity([oneEvent("sent", 0)], rules).state, [oneEvent("delivered", 0)])).toBe(
      false,
    );
  });

  test("makes a machine's of the click 2 s after it, which says that it had counted", () => {
    const store = stored();
    const scanned = click(3000);
    store.apply([scanned], rules);

    const change = store.apply([oneEvent("delivered", 1000)], rules);

    expect(change?.state).toMatchObject({
      click_count: 0,
      clicked_first_at: null,
      clicked_any_first_at: at(3000),
      delivered_at: at(1000),
    });
    expect(store.events.get(scanned.id)).toMatchObject({
      discarded: "machine",
      detail: { machine: "delivery", reclassified: true },
    });
  });

  test("and is followed by a still earlier one gives the click back, without a mark and told once more", () => {
    const store = stored();
    const scanned = click(3000);
    store.apply([oneEvent("delivered", 1000), scanned], rules);
    expect(store.events.get(scanned.id)?.detail).toEqual({ ...person, machine: "delivery" });

    const change = store.apply([oneEvent("delivered", 0)], rules);

    expect(store.events.get(scanned.id)).toMatchObject({ discarded: null, detail: person });
    expect(change?.counted.map(({ id }) => id)).toContain(scanned.id);
    expect(change?.state).toMatchObject({ click_count: 1, clicked_first_at: at(3000) });
  });

  test("lets the open count that stood back behind a machine's", () => {
    const store = stored();
    const [scanned, read] = [open(2000), open(5 * minute)];
    store.apply([scanned, read], rules);
    expect(store.events.get(read.id)?.discarded).toBe("open_window");

    store.apply([oneEvent("delivered", 1000)], rules);

    expect(store.events.get(scanned.id)?.discarded).toBe("machine");
    expect(store.events.get(read.id)).toMatchObject({ discarded: null, detail: {} });
    expect(store.told).toContain(read.id);
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

    expect(change?.decisions.map(({ event, decision }) => [event.id, decision])).toEqual([
      [first.id, { discarded: "open_window", detail: { kept: late.id, reclassified: true } }],
      [second.id, { discarded: null, detail: {} }],
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

    expect(change?.decisions.map(({ event, decision }) => [event.id, decision])).toEqual([
      [first.id, { discarded: "open_window", detail: { kept: late.id, reclassified: true } }],
      [second.id, { discarded: "open_window", detail: { kept: late.id } }],
    ]);
    expect(change?.counted.map(({ id }) => id)).toEqual([late.id]);
    expect(store.told).toEqual([first.id, late.id]);
  });
});
