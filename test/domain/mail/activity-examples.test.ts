import { describe, expect, test } from "vitest";
import { type ActivityState, emptyActivity, foldActivity } from "../../../src/domain/mail/activity.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { agents, at, minute, oneEvent, replyLike } from "./activity-histories.ts";
import { fold, open, rules, timeOf } from "./activity-parts.ts";

describe("the status", () => {
  const sent = oneEvent("sent", 0);
  const delivered = oneEvent("delivered", 1000);
  const soft = (ms: number) => oneEvent("bounced", ms, { bounce_type: "Transient" });
  const hard = (ms: number) => oneEvent("bounced", ms, { bounce_type: "Permanent" });

  test.each<[string, EmailEvent[], Partial<ActivityState>]>([
    [
      "a delivery that is later than the complaint leaves it complained",
      [sent, oneEvent("complained", 500), delivered],
      { current_status: "complained", complained_at: at(500), delivered_at: at(1000) },
    ],
    [
      "a hard bounce after the delivery makes it bounced, and the delivery stays known",
      [sent, delivered, hard(2000)],
      { current_status: "bounced_hard", bounced_at: at(2000), delivered_at: at(1000) },
    ],
    [
      "a delivery after a soft bounce makes it delivered, and the bounce stays known",
      [sent, soft(500), delivered],
      { current_status: "delivered", bounced_at: at(500), delivered_at: at(1000) },
    ],
    [
      "a soft bounce after the delivery leaves it delivered",
      [sent, delivered, soft(2000)],
      { current_status: "delivered", bounced_at: at(2000) },
    ],
    [
      "an automatic reply changes neither status nor bounced_at",
      [sent, oneEvent("bounced", 500, replyLike), delivered],
      { current_status: "delivered", bounced_at: null },
    ],
    [
      "without a delivery there is nothing to reply to: a soft bounce",
      [sent, oneEvent("bounced", 500, replyLike)],
      { current_status: "bounced_soft", bounced_at: at(500) },
    ],
    [
      "what is taken out of the spam folder is no complaint",
      [delivered, oneEvent("complained", 5000, { complaint_feedback_type: "not-spam" })],
      { current_status: "delivered", complained_at: null },
    ],
    [
      "a bounce because of a suppression list is no hard one",
      [
        sent,
        oneEvent("bounced", 500, { bounce_type: "Permanent", bounce_subtype: "OnAccountSuppressionList" }),
      ],
      { current_status: "suppressed", bounced_at: at(500) },
    ],
    [
      "a complaint because of a suppression list is none about this email",
      [sent, oneEvent("complained", 500, { complaint_subtype: "OnAccountSuppressionList" })],
      { current_status: "suppressed", complained_at: null },
    ],
    [
      "a bounce of undetermined type is a soft one",
      [sent, oneEvent("bounced", 500, { bounce_type: "Undetermined" })],
      { current_status: "bounced_soft", bounced_at: at(500) },
    ],
    [
      "opens and clicks are times beside it",
      [delivered, open(4000), oneEvent("clicked", 5000)],
      { current_status: "delivered", opened_first_at: at(4000), clicked_first_at: at(5000) },
    ],
    ["what is opened was sent", [open(2000)], { current_status: "sent", opened_first_at: at(2000) }],
    ["what is clicked was sent", [oneEvent("clicked", 2000)], { current_status: "sent" }],
    [
      "whoever unsubscribes was sent something",
      [oneEvent("subscription_changed", 0)],
      { current_status: "sent" },
    ],
  ])("%s", (_name, events, expected) => {
    expect(fold(...events).state).toMatchObject(expected);
    expect(fold(...events.toReversed()).state).toMatchObject(expected);
  });
});

describe("opens within the window of 20 minutes", () => {
  const countedOf = (events: EmailEvent[], seconds = 1200) => {
    const { discards } = foldActivity(events, { ...rules, openWindowSeconds: seconds });
    return events.filter(({ id }) => !discards.has(id)).map((event) => timeOf(event) - at(0).getTime());
  };

  test("of minutes 0, 8, 16 and 24 the first and the last count: it does not slide", () => {
    const opens = [0, 8, 16, 24].map((minutes) => open(minutes * minute));

    expect(countedOf(opens)).toEqual([0, 24 * minute]);
    expect(fold(...opens).state).toMatchObject({
      open_count: 2,
      opened_first_at: at(0),
      last_counted_open_at: at(24 * minute),
      last_counted_open_id: opens[3]?.id,
    });
    expect([...fold(...opens).discards.values()]).toEqual([
      { reason: "open_window", kept: opens[0]?.id },
      { reason: "open_window", kept: opens[0]?.id },
    ]);
  });

  test("an open exactly 20:00 after the last counted one counts, a millisecond before it does not", () => {
    expect(countedOf([open(0), open(20 * minute)])).toEqual([0, 20 * minute]);
    expect(countedOf([open(0), open(20 * minute - 1)])).toEqual([0]);
  });

  test("with a window of 0 every open counts, at equal times too", () => {
    expect(countedOf([open(0), open(0), open(1)], 0)).toEqual([0, 0, 1]);
  });

  test("an earlier open that is added takes the place of the one that had counted", () => {
    const opens = [open(5 * minute), open(26 * minute)];

    expect(countedOf(opens)).toEqual([5 * minute, 26 * minute]);
    expect(countedOf([...opens, open(0)])).toEqual([26 * minute, 0]);
    expect(countedOf([...opens, open(-10 * minute)])).toEqual([26 * minute, -10 * minute]);
    expect(countedOf([...opens, open(-15 * minute)])).toEqual([5 * minute, 26 * minute, -15 * minute]);
  });

  test("of two opens at the same time the one with the lower id counts", () => {
    const [low, high] = [open(0, `${"1".repeat(8)}-a`), open(0, `${"2".repeat(8)}-a`)];

    expect([...fold(high, low).discards]).toEqual([[high.id, { reason: "open_window", kept: low.id }]]);
  });
});

describe("clicks that are one act", () => {
  const link = { url_clicked: "https://example.org/1", ip_address: "203.0.113.1", user_agent: "Firefox" };
  const click = (ms: number, differs: EventDetail = {}) => oneEvent("clicked", ms, { ...link, ...differs });
  const countedOf = (events: EmailEvent[]) => {
    const { discards } = fold(...events);
    return events.filter(({ id }) => !discards.has(id)).map((event) => timeOf(event) - at(0).getTime());
  };

  test("count once, and the others name the one that stands", () => {
    const clicks = [0, 120, 300, 500].map((ms) => click(ms));

    const { state, discards } = fold(...clicks.toReversed());

    expect(state).toMatchObject({ click_count: 1, clicked_first_at: at(0), last_counted_click_at: at(0) });
    expect([...discards.values()]).toEqual(Array(3).fill({ reason: "repeat", kept: clicks[0]?.id }));
  });

  test("lie less than a second after one that counts, which does not slide", () => {
    expect(countedOf([click(0), click(999), click(1000), click(1999), click(2000)])).toEqual([0, 1000, 2000]);
  });

  test.each<[string, EventDetail]>([
    ["another link", { url_clicked: "https://example.org/2" }],
    ["another address", { ip_address: "203.0.113.2" }],
    ["another program", { user_agent: "Safari" }],
  ])("are not those of %s", (_name, differs) => {
    expect(countedOf([click(0), click(1, differs), click(2)])).toEqual([0, 1]);
  });

  test("leave a machine's out: what it clicked does not stand for a person's", () => {
    expect(countedOf([click(0, { is_bot_event: "Likely" }), click(10), click(20)])).toEqual([10]);
  });

  test("count once also where machines are not told apart", () => {
    const { state } = foldActivity([click(0), click(10)], { ...rules, machineFilter: false });
    expect(state.click_count).toBe(1);
  });
});

describe("machines", () => {
  const delivered = oneEvent("delivered", 0);
  const by = (type: "opened" | "clicked", ms: number, user_agent?: string) =>
    oneEvent(type, ms, user_agent === undefined ? {} : { user_agent });
  const [prefetch = "", bot = ""] = agents.machines;

  test("are discarded with what gave them away, and leave counters and first times to people", () => {
    const apple = by("opened", 5_000, prefetch);
    const scanner = by("clicked", 2_000);
    const crawler = by("clicked", 60_000, bot);
    const [read, clicked] = [by("opened", 90_000), by("clicked", 2_001)];

    const { state, discards } = fold(clicked, read, crawler, scanner, apple, delivered);

    expect(Object.fromEntries(discards)).toEqual({
      [apple.id]: { reason: "machine", machine: "prefetch" },
      [scanner.id]: { reason: "machine", machine: "delivery" },
      [crawler.id]: { reason: "machine", machine: "agent" },
    });
    expect(state).toEqual({
      ...emptyActivity,
      current_status: "delivered",
      delivered_at: at(0),
      opened_first_at: at(90_000),
      opened_any_first_at: at(5_000),
      clicked_first_at: at(2_001),
      clicked_any_first_at: at(2_000),
      open_count: 1,
      click_count: 1,
      last_counted_open_at: at(90_000),
      last_counted_open_id: read.id,
      last_counted_click_at: at(2_001),
    });
  });

  test("of the very millisecond of the delivery are told, whichever id comes first", () => {
    const [low, high] = [oneEvent("opened", 0, {}, "0"), oneEvent("opened", 0, {}, "f")];

    expect([...fold(low, delivered, high).discards.values()]).toEqual([
      { reason: "machine", machine: "delivery" },
      { reason: "machine", machine: "delivery" },
    ]);
  });

  test("are measured against the earliest of several deliveries", () => {
    const again = oneEvent("delivered", 9_000);

    expect(fold(delivered, again, by("clicked", 10_000)).state.click_count).toBe(1);
    expect(fold(again, by("clicked", 10_000)).state.click_count).toBe(0);
  });

  test("who open many times are no open of the window for one another", () => {
    const opens = [by("opened", 60_000, prefetch), by("opened", 61_000, prefetch)];

    expect([...fold(...opens).discards.values()].map(({ reason }) => reason)).toEqual(["machine", "machine"]);
  });
});
