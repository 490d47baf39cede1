import fc from "fast-check";
import type { ActivityRules, Folded } from "../../../src/domain/mail/activity.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import type { EventDetail } from "../../../src/domain/mail/event-detail.ts";
import { type EmailEventType, emailEventTypes } from "../../../src/domain/mail/event-names.ts";

export const minute = 60_000;
const startMs = Date.parse("2026-11-20T10:00:00.000Z");
const windowMs = 20 * minute;
let made = 0;

/** A time so many milliseconds after the start of a history. */
export function at(ms: number): Date {
  return new Date(startMs + ms);
}

export function oneEvent(
  type: EmailEventType,
  ms: number,
  detail: EventDetail = {},
  id?: string,
): EmailEvent {
  const ownId = id ?? `00000000-0000-8000-8000-${String(++made).padStart(12, "0")}`;
  return { id: ownId, type, occurred_at: at(ms), detail };
}

/** Times cluster around multiples of the window, so that they meet its edges and one another. */
const ms = fc.oneof(
  fc.tuple(fc.nat(4), fc.constantFrom(-1, 0, 1)).map(([windows, offset]) => windows * windowMs + offset),
  fc.constantFrom(8, 16, 24, 12, 36).map((minutes) => minutes * minute),
  // Deliveries, and what comes about two seconds after them.
  fc.constantFrom(0, 1, 1999, 2000, 2001, 4000).map((offset) => 12 * minute + offset),
  fc.nat(4 * windowMs),
);
/** The user agents of random histories, by whose they are. */
export const agents = {
  machines: [
    "Mozilla/5.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "curl/8.5.0",
  ],
  people: [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
  ],
};
export const replyLike = { bounce_type: "Transient", bounce_subtype: "General" };
const detail: fc.Arbitrary<EventDetail> = fc.oneof(
  fc.constantFrom(...agents.machines, ...agents.people).map((user_agent) => ({ user_agent })),
  fc.constantFrom<EventDetail>(
    {},
    { bounce_type: "Permanent" },
    replyLike,
    replyLike,
    { ...replyLike, status_code: "4.4.7" },
    { bounce_type: "Permanent", bounce_subtype: "OnAccountSuppressionList" },
    { complaint_feedback_type: "not-spam" },
    { complaint_subtype: "OnTenantSuppressionList" },
    { recipient_certain: false },
    { is_bot_event: "Likely" },
    { is_bot_event: "Unlikely", user_agent: agents.machines[1] ?? "" },
    { url_clicked: "https://example.org/mail.css" },
  ),
);
const soonMs = fc.constantFrom(-1, 0, 1, 1000, 1999, 2000, 2001, 3000);
const event = fc.record({
  id: fc.uuid(),
  type: fc.oneof(
    fc.constantFrom(...emailEventTypes),
    fc.constantFrom<EmailEventType>("opened", "opened", "clicked", "delivered"),
  ),
  occurred_at: ms.map(at),
  detail,
});
/** An open or click and a delivery a little before it. */
const soonAfterDelivery = fc
  .tuple(event, fc.uuid(), fc.constantFrom<EmailEventType>("opened", "clicked"), soonMs)
  .map(([one, id, type, sinceMs]): EmailEvent[] => [
    { ...one, type },
    { id, type: "delivered", occurred_at: new Date(one.occurred_at.getTime() - sinceMs), detail: {} },
  ]);
/** A bounce that is a reply if the email was delivered. */
const replying = event.map((one): EmailEvent[] => [{ ...one, type: "bounced", detail: replyLike }]);
/** Clicks a moment after one another, on few links and from few addresses. */
const clicking = fc
  .tuple(
    ms,
    fc.array(
      fc.record({
        id: fc.uuid(),
        afterMs: fc.constantFrom(0, 1, 400, 999, 1000, 1001, 1500),
        detail: fc.record({
          url_clicked: fc.constantFrom("https://example.org/1", "https://example.org/2"),
          ip_address: fc.constantFrom("203.0.113.1", "203.0.113.1", "203.0.113.2"),
          user_agent: fc.constantFrom(...agents.people.slice(0, 1), ...agents.machines.slice(0, 1)),
        }),
      }),
      { minLength: 1, maxLength: 5 },
    ),
  )
  .map(([fromMs, clicks]) =>
    clicks.map(
      ({ id, afterMs, detail: clicked }): EmailEvent => ({
        id,
        type: "clicked",
        occurred_at: at(fromMs + afterMs),
        detail: clicked,
      }),
    ),
  );

/** All that happened to one activity, with the rules of its project. Ids are unique. */
export const history: fc.Arbitrary<{ events: EmailEvent[]; rules: ActivityRules }> = fc.record({
  events: fc
    .tuple(
      fc.array(event, { maxLength: 14 }),
      fc.array(soonAfterDelivery, { maxLength: 2 }),
      fc.array(clicking, { maxLength: 2 }),
      fc.array(replying, { maxLength: 1 }),
    )
    .map(([single, ...groups]) => [
      ...new Map([...single, ...groups.flat(2)].map((one) => [one.id, one])).values(),
    ]),
  rules: fc.record({
    openWindowSeconds: fc.oneof(
      { weight: 4, arbitrary: fc.constant(1200) },
      { weight: 1, arbitrary: fc.constantFrom(0, 1, 60) },
    ),
    machineFilter: fc.oneof(
      { weight: 3, arbitrary: fc.constant(true) },
      { weight: 1, arbitrary: fc.constant(false) },
    ),
  }),
});

export const historyInTwoOrders = history.chain(({ events, rules }) =>
  fc.record({
    one: fc.constant(events),
    other: fc.shuffledSubarray(events, { minLength: events.length }),
    rules: fc.constant(rules),
  }),
);

/** Batches in which the events of a history arrive: each at least once, some again, in any order. */
export const arrivals = history.chain(({ events, rules }) =>
  fc.record({
    batches: fc
      .tuple(fc.shuffledSubarray(events, { minLength: events.length }), fc.shuffledSubarray(events))
      .chain(([all, again]) =>
        fc.shuffledSubarray([...all, ...again], { minLength: all.length + again.length }),
      )
      .chain((arriving) =>
        fc
          .array(fc.nat(5), { minLength: arriving.length, maxLength: arriving.length })
          .map((cuts) => batchesOf(arriving, cuts)),
      ),
    events: fc.constant(events),
    rules: fc.constant(rules),
  }),
);

/** A new batch begins where the cut is 0. */
function batchesOf(arriving: EmailEvent[], cuts: number[]): EmailEvent[][] {
  const batches: EmailEvent[][] = [[]];
  for (const [index, arrived] of arriving.entries()) {
    if (cuts[index] === 0) batches.push([]);
    batches.at(-1)?.push(arrived);
  }
  return batches;
}

/** A fold in a form that two can be compared in. */
export function decisionsOf({ state, discards, replies }: Folded) {
  return { state, discards: Object.fromEntries(discards), replies: [...replies].toSorted() };
}
