import type { Database } from "../../storage/database.ts";
import type { AcceptedNotification } from "../../storage/journal.ts";

/** Which notifications are captured. */
export type CaptureFilter = {
  projectId: string | null;
  /** By the SNS timestamp: `from` is inclusive, `to` exclusive. */
  from: Date | null;
  to: Date | null;
  quarantined: boolean;
};

export type JournalEntry = Pick<AcceptedNotification, "project_id" | "sns_timestamp" | "body">;

const rowsPerPage = 200;

/**
 * Reads one day of the journal in SNS timestamp order, page by page, at the pace of `onPage`; notifications that arrive
 * meanwhile are left out. No index has this order: a cursor sorts once, paged queries would sort for every page.
 * @param onPage returns false to stop.
 */
export async function readJournalDay(
  db: Database,
  day: string,
  { projectId, from, to, quarantined }: CaptureFilter,
  onPage: (entries: JournalEntry[]) => Promise<boolean>,
): Promise<void> {
  await db.transaction(async (tx) => {
    // Sorting a large day takes long, and the reader of a pipe may pause.
    await tx.query("set local statement_timeout = 0");
    await tx.query("set local idle_in_transaction_session_timeout = 0");
    await tx.query(
      `declare capture no scroll cursor for
       select project_id, sns_timestamp, body from notifications
       where sns_timestamp >= $1::date and sns_timestamp < $1::date + 1
         and ($2::timestamptz is null or sns_timestamp >= $2) and ($3::timestamptz is null or sns_timestamp < $3)
         and ($4::uuid is null or project_id = $4) and (not $5 or quarantine_reason is not null)
       order by sns_timestamp, project_id, topic_id, sns_message_id`,
      [day, from, to, projectId, quarantined],
    );
    for (;;) {
      const entries = await tx.query<JournalEntry>(`fetch ${rowsPerPage} from capture`);
      if (entries.length === 0 || !(await onPage(entries))) return;
    }
  });
}
