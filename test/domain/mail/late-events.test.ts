import { describe, expect, test } from "vitest";
import { foldActivity } from "../../../src/domain/mail/activity.ts";
import { needsHistory } from "../../../src/domain/mail/activity-change.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { at, minute, oneEvent, replyLike } from "./activity-histories.ts";
import { open, rules, stored } from "./changed-activity.ts";

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
