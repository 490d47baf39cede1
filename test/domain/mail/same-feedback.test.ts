import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { foldActivity } from "../../../src/domain/mail/activity.ts";
import { type ReportedEvent, touchedActivities } from "../../../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../../../src/domain/mail/email-event.ts";
import { mergeDetails } from "../../../src/domain/mail/event-detail.ts";
import { interpretNotification } from "../../../src/domain/mail/interpret-notification.ts";
import { adoptStored, timeOf } from "../../../src/domain/mail/same-feedback.ts";
import { atLength } from "../../support/length.ts";
import { asMessage, sesEvent, timeAfter } from "../../support/ses.ts";

const rules = { openWindowSeconds: 1200, machineFilter: true };

function toldOf(type: string, after: number, feedbackId: string | null, more: object = {}): ReportedEvent[] {
  const body = JSON.stringify({
    Message: asMessage(sesEvent(type, { after, detail: { feedbackId, ...more } })),
  });
  const read = interpretNotification("project", body, new Date(timeAfter(0)));
  if (read.kind !== "events") throw new Error(`not an event: ${JSON.stringify(read)}`);
  return read.events.map((event) => ({ projectId: "project", ...event }));
}

/** What is stored after batches, each of which holds some copies: as workers do it. */
function stored(batches: readonly ReportedEvent[][]): EmailEvent[] {
  const known = new Map<string, EmailEvent>();
  for (const batch of batches) {
    for (const { events } of touchedActivities(batch)) {
      for (const event of adoptStored(events, [...known.values()])) {
        const before = known.get(event.id);
        known.set(
          event.id,
          before ? { ...before, detail: mergeDetails(before.detail, event.detail) } : event,
        );
      }
    }
  }
  return [...known.values()];
}

const copies = [
  ...[0, 0.101, 3600, 40 * 86_400].map((after) =>
    toldOf("Complaint", after, "f-1", { userAgent: `UA ${after}` }),
  ),
  ...[60, 59.9].map((after) => toldOf("Bounce", after, "f-2", { more: after })),
  toldOf("Bounce", 60, "f-3"),
];

describe("copies of one feedback", () => {
  test("are one event with the earliest time, however they arrive, together or one by one", () => {
    const expected = stored([copies.flat()]);
    expect(expected.map(({ type }) => type).toSorted()).toEqual(["bounced", "bounced", "complained"]);
    const outcome = (events: EmailEvent[]) => ({
      state: foldActivity(events, rules).state,
      events: events
        .map(({ detail: { earliest_at: _, ...detail }, ...event }) => ({
          detail,
          type: event.type,
          at: timeOf({ ...event, detail: { ...detail, ...(_ && { earliest_at: _ }) } }).toISOString(),
          hash: event.id.slice(14),
        }))
        .toSorted((one, other) => (one.hash < other.hash ? -1 : 1)),
    });

    fc.assert(
      fc.property(
        fc.shuffledSubarray([...copies, ...copies], { minLength: copies.length * 2 }),
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 14, maxLength: 14 }),
        (order, sizes) => {
          const batches: ReportedEvent[][] = [];
          let rest = order;
          for (const size of sizes) {
            batches.push(rest.slice(0, size).flat());
            rest = rest.slice(size);
          }
          expect(outcome(stored([...batches, rest.flat()]))).toEqual(outcome(expected));
        },
      ),
      { numRuns: atLength(200, 200) },
    );
    expect(outcome(expected).state.complained_at).toEqual(new Date(timeAfter(0)));
  });

  test("without a feedbackId, two times are two events", () => {
    const [one, other] = [toldOf("Bounce", 1, null), toldOf("Bounce", 2, null)];

    expect(stored([one, other])).toHaveLength(2);
  });
});
