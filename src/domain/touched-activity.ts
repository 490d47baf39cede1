import type { EmailEvent } from "./email-event.ts";
import { groupBy } from "./group-by.ts";
import { type MailFacts, mergeFacts } from "./mail-facts.ts";
import { identityOf, unitedCopies } from "./same-feedback.ts";

/** What a batch tells of one email to one recipient. */
export type TouchedActivity = { projectId: string; facts: MailFacts; events: EmailEvent[] };

export type ToldEvent = { projectId: string; facts: MailFacts; event: EmailEvent };

/** Gathers the events of a batch by activity; an event that the batch holds twice is there once, with all that is told of it. */
export function touchedActivities(told: readonly ToldEvent[]): TouchedActivity[] {
  const groups = groupBy(told, ({ projectId, facts }) => naturalKey({ project_id: projectId, ...facts }));
  return [...groups.values()].map((group) => ({
    projectId: group.map(({ projectId }) => projectId)[0] ?? "",
    facts: group.map(({ facts }) => facts).reduce(mergeFacts),
    events: distinct(group.map(({ event }) => event)),
  }));
}

function distinct(events: readonly EmailEvent[]): EmailEvent[] {
  const byIdentity = new Map<string, EmailEvent>();
  for (const event of events) {
    const known = byIdentity.get(identityOf(event));
    byIdentity.set(identityOf(event), known ? unitedCopies(known, event) : event);
  }
  return [...byIdentity.values()];
}

/** What makes an activity itself: the email and the recipient, within a project. */
export function naturalKey(row: { project_id: string; message_id: string; recipient: string }): string {
  return JSON.stringify([row.project_id, row.message_id, row.recipient]);
}
