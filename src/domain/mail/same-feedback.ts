import type { EmailEvent } from "./email-event.ts";
import { mergeDetails } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";

/*
 * A feedbackId and a recipient identify one bounce or complaint, even if copies have different times: the two SES
 * formats write the time of a complaint with and without milliseconds. An id starts with the time that was reported
 * first and ends with a hash of the rest, which copies share. So the first copy determines the id, and the others
 * adopt it.
 */

/** The types whose copies can have other times. A bounce notification also reports delays. */
export const feedbackTypes: readonly EmailEventType[] = ["bounced", "complained", "delayed"];

type StoredCopy = Pick<EmailEvent, "id" | "occurred_at">;

/** The part that all copies of an event share. */
export function identityOf({ id, detail }: EmailEvent): string {
  return detail.feedback_id === undefined ? id : hashOf(id);
}

/** Merges two copies of an event: the earlier time stands. */
export function unitedCopies(one: EmailEvent, other: EmailEvent): EmailEvent {
  const first = one.id <= other.id ? one : other;
  return { ...first, detail: mergeDetails(one.detail, other.detail) };
}

/**
 * Replaces the ids of events by those of stored copies. If a copy is stored with a later time, the detail records the
 * earlier one, because the time of a stored event is part of its key.
 * @param stored of the same activity.
 */
export function adoptStored(told: readonly EmailEvent[], stored: readonly StoredCopy[]): EmailEvent[] {
  const byHash = new Map<string, StoredCopy>();
  for (const event of stored.toSorted(({ id: one }, { id: other }) => (one < other ? 1 : -1)))
    byHash.set(hashOf(event.id), event);
  return told.map((event) => {
    const copy = event.detail.feedback_id === undefined ? undefined : byHash.get(hashOf(event.id));
    return copy === undefined || copy.id === event.id ? event : asCopyOf(copy, event);
  });
}

function asCopyOf({ id, occurred_at }: StoredCopy, event: EmailEvent): EmailEvent {
  const isEarlier = event.occurred_at < occurred_at;
  const earliest = isEarlier ? { earliest_at: event.occurred_at.toISOString() } : {};
  return { ...event, id, occurred_at, detail: { ...event.detail, ...earliest } };
}

/** The event's time according to the earliest copy. */
export function timeOf({ occurred_at, detail }: Pick<EmailEvent, "occurred_at" | "detail">): Date {
  return detail.earliest_at === undefined ? occurred_at : new Date(detail.earliest_at);
}

/** The part after the 48 bits of time. */
function hashOf(id: string): string {
  return id.slice(14);
}
