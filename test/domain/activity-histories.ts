import fc from "fast-check";
import type { Folded } from "../../src/domain/activity.ts";
import type { EmailEvent } from "../../src/domain/email-event.ts";
import type { EventDetail } from "../../src/domain/event-detail.ts";
import { type EmailEventType, emailEventTypes } from "../../src/domain/event-names.ts";

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
  fc.nat(4 * windowMs),
);
const detail: fc.Arbitrary<EventDetail> = fc.oneof(
  fc.constantFrom<EventDetail>(
    {},
    { bounce_type: "Permanent" },
    { bounce_type: "Transient", auto_reply: true },
    { bounce_type: "Transient" },
    { recipient_certain: false },
  ),
);
const event = fc.record({
  id: fc.uuid(),
  type: fc.oneof(fc.constantFrom(...emailEventTypes), fc.constant<EmailEventType>("opened")),
  occurred_at: ms.map(at),
  detail,
});

/** All that happened to one activity, with the window of its project. Ids are unique. */
export const history: fc.Arbitrary<{ events: EmailEvent[]; openWindowSeconds: number }> = fc.record({
  events: fc.uniqueArray(event, { selector: ({ id }) => id, maxLength: 14 }),
  openWindowSeconds: fc.oneof(
    { weight: 4, arbitrary: fc.constant(1200) },
    { weight: 1, arbitrary: fc.constantFrom(0, 1, 60) },
  ),
});

export const historyInTwoOrders = history.chain(({ events, openWindowSeconds }) =>
  fc.record({
    one: fc.constant(events),
    other: fc.shuffledSubarray(events, { minLength: events.length }),
    openWindowSeconds: fc.constant(openWindowSeconds),
  }),
);

/** Batches in which the events of a history arrive: each at least once, some again, in any order. */
export const arrivals = history.chain(({ events, openWindowSeconds }) =>
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
    openWindowSeconds: fc.constant(openWindowSeconds),
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
export function decisionsOf({ state, discards }: Folded) {
  return { state, discards: Object.fromEntries(discards) };
}
