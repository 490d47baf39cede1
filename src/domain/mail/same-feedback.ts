import type { EmailEvent } from "./email-event.ts";
import { mergeDetails } from "./event-detail.ts";
import type { EmailEventType } from "./event-names.ts";

/*
 * A feedbackId and a recipient are one bounce or complaint, whatever time each copy of it has: the two formats of SES
 * spell the time of one complaint with and without milliseconds. An id begins with the time that was told first and
 * ends in a hash of what the event is, which copies share; so the first copy gives the id, and others adopt it.
 */

/** The types whose copies can have other times. A bounce notification also reports delays. */
export const feedbackTypes: readonly EmailEventType[] = ["bounced", "complained", "delayed"];

type StoredCopy = Pick<EmailEvent, "id" | "occurred_at">;

/** What is the same in all copies of an event. */
export function identityOf({ id, detail }: EmailEvent): string {
  return detail.feedback_id === undefined ? id : hashOf(id);
}

/** Unites two copies of one event: the earlier time stands. */
export function unitedCopies(one: EmailEvent, other: EmailEvent): EmailEvent {
  const first = one.id <= other.id ? one : other;
  return { ...first, detail: mergeDetails(one.detail, other.detail) };
}

/**
 * Gives events the ids of copies that are stored. Where a copy is stored with a later time, its detail says so, since
 * the time of a stored event is part of its key.
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

/** When an event happened, as the earliest copy says. */
export function timeOf({ occurred_at, detail }: Pick<EmailEvent, "occurred_at" | "detail">): Date {
  return detail.earliest_at === undefined ? occurred_at : new Date(detail.earliest_at);
}

/** What follows the 48 bits of time. */
function hashOf(id: string): string {
  return id.slice(14);
}
