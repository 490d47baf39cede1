import type { ActivityChange } from "../src/domain/mail/activity-change.ts";
import type { EmailEvent } from "../src/domain/mail/email-event.ts";
import type { MailFacts } from "../src/domain/mail/mail-facts.ts";
import type { ActivityRow } from "../src/storage/activity.ts";

/** An activity under lock, and what a batch tells of it. */
export type LockedActivity = {
  row: ActivityRow;
  /** Those of the row and of the batch together. */
  facts: MailFacts;
  events: EmailEvent[];
};

/** Its `events` are the new ones. */
export type ToldActivity = LockedActivity & {
  /** Events that were known, and of which the batch tells more. */
  enriched: EmailEvent[];
};

export type ChangedActivity = ToldActivity & { change: ActivityChange };
