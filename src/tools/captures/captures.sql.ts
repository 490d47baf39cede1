import type { Database } from "../../storage/database.ts";
import type { AcceptedNotification } from "../../storage/journal.ts";

/** Which notifications are captured. */
export type CaptureFilter = {
  projectId: string | null;
  /** By the time that SNS published them: not before `from`, and before `to`. */
  from: Date | null;
  to: Date | null;
  quarantined: boolean;
};

export type JournalEntry = Pick<AcceptedNotification, "project_id" | "sns_timestamp" | "body">;

const rowsPerPage = 200;

/**
 * Reads a day of the journal in order of SNS's timestamps, page by page, while `onPage` keeps up; what arrives meanwhile
 * is left out. The order is not that of an index, so that a cursor sorts once what pages would sort again and again.
 * @param onPage false ends it.
 */
export async function readJournalDay(
  db: Database,
  day: string,
  { projectId, from, to, quarantined }: CaptureFilter,
  onPage: (entries: JournalEntry[]) => Promise<boolean>,
): Promise<void> {
  await db.transaction(async (tx) => {
    // Sorting a large day takes its time, and whoever reads a pipe may pause.
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
