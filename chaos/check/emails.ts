import type { Happening } from "../../bench/corpus/payloads.ts";
import { groupBy } from "../../src/domain/maps.ts";
import type { Database } from "../../src/storage/database.ts";
import type { PostedMessage } from "../load/notifications.ts";
import { erasablePrefix } from "../load/writers.ts";
import {
  type ExpectedActivity,
  type ExpectedEmail,
  type ExpectedEvent,
  expectedEmails,
  suppressedBy,
} from "./expected.ts";
import type { Findings } from "./findings.ts";

/** @property journaled messages in the journal. */
export type EmailFigures = { accepted: number; journaled: number; activities: number; events: number };

/**
 * Compares the journal with what receivers have acknowledged, and emails and events with what follows from the journal.
 * @param erased addresses of people that were erased; their rows are compared with nothing.
 */
export async function checkEmails(
  db: Database,
  messages: ReadonlyMap<string, PostedMessage>,
  erased: ReadonlySet<string>,
  findings: Findings,
): Promise<EmailFigures> {
  const known = await checkJournal(db, messages, findings);
  const expected = new Map<string, ExpectedEmail>();
  for (const { email, happenings } of byEmail(known)) {
    if (erased.has(email.recipients[0])) continue;
    for (const one of expectedEmails(email, happenings))
      expected.set(`${email.messageId} ${one.recipient}`, one);
  }
  const figures = await compareRows(db, expected, findings);
  await checkSuppressions(db, known, findings);
  const accepted = [...messages.values()].filter(({ acceptedAtMs }) => acceptedAtMs !== null).length;
  return { accepted, journaled: known.length, ...figures };
}

/** @returns the messages that the journal holds. */
async function checkJournal(
  db: Database,
  messages: ReadonlyMap<string, PostedMessage>,
  findings: Findings,
): Promise<PostedMessage[]> {
  const rows = await db.query<{ id: string; times: number; is_quarantined: boolean }>(
    `select sns_message_id as id, count(*)::integer as times, bool_or(quarantine_reason is not null) as is_quarantined
     from notifications group by 1`,
  );
  const stored = new Map(rows.map((row) => [row.id, row]));
  for (const { snsMessageId, acceptedAtMs, isAbandoned, happening } of messages.values()) {
    const isThere = stored.has(snsMessageId);
    if (!isThere && acceptedAtMs !== null)
      findings.add("lost", `${happening.kind} ${snsMessageId} was answered 200 at ${timeOf(acceptedAtMs)}`);
    if (acceptedAtMs === null && !isAbandoned)
      findings.add("conduct", `${happening.kind} ${snsMessageId} was never accepted`);
  }
  for (const { id, times, is_quarantined } of rows) {
    if (times > 1) findings.add("counted twice", `message ${id} is in the journal ${times} times`);
    if (!messages.has(id))
      findings.add("differs", `message ${id} is in the journal, and nobody has posted it`);
    if (is_quarantined) findings.add("differs", `message ${id} is in quarantine`);
  }
  return [...messages.values()].filter(({ snsMessageId }) => stored.has(snsMessageId));
}

function byEmail(known: readonly PostedMessage[]) {
  const emails = new Map<string, { email: PostedMessage["email"]; happenings: Happening[] }>();
  for (const { email, happening } of known) {
    const of = emails.get(email.messageId) ?? { email, happenings: [] };
    emails.set(email.messageId, of);
    of.happenings.push(happening);
  }
  return emails.values();
}

type ActivityRow = Record<keyof ExpectedActivity, unknown> & {
  id: string;
  message_id: string;
  recipient: string;
};
type EventRow = { owner_id: string; type: string; occurred_at: Date; discarded: string | null };

const rowsAtOnce = 2_000;
const columns: readonly (keyof ExpectedActivity)[] = [
  "current_status",
  "delivered_at",
  "bounced_at",
  "complained_at",
  "opened_first_at",
  "opened_any_first_at",
  "clicked_first_at",
  "clicked_any_first_at",
  "open_count",
  "click_count",
  "last_counted_open_at",
  "recipient_certain",
];

/** @param expected by messageId and recipient; what is found is removed. */
async function compareRows(
  db: Database,
  expected: Map<string, ExpectedEmail>,
  findings: Findings,
): Promise<Pick<EmailFigures, "activities" | "events">> {
  const figures = { activities: 0, events: 0 };
  for await (const rows of pagesOfActivities(db)) {
    const events = await eventsOf(db, rows);
    for (const row of rows) {
      const name = `${row.message_id} ${row.recipient}`;
      const stored = events.get(row.id) ?? [];
      figures.activities++;
      figures.events += stored.length;
      const wanted = expected.get(name);
      expected.delete(name);
      if (wanted !== undefined) compareRow(name, wanted, row, stored, findings);
      else if (!isPseudonym(row.recipient))
        findings.add("differs", `an activity that nobody has reported: ${name}`);
    }
  }
  for (const [name, { events }] of expected)
    for (const { type } of events) findings.add("lost", `${type} of ${name}`);
  return figures;
}

async function* pagesOfActivities(db: Database): AsyncGenerator<ActivityRow[]> {
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const rows = await db.query<ActivityRow>(
      `select id, message_id, recipient, ${columns.join(", ")} from activity where id > $1 order by id limit $2`,
      [after, rowsAtOnce],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    yield rows;
    after = last.id;
  }
}

/** The address of an erased person. */
function isPseudonym(recipient: string): boolean {
  return recipient.endsWith("@erased.invalid");
}

async function eventsOf(db: Database, rows: readonly ActivityRow[]): Promise<Map<string, EventRow[]>> {
  const events = await db.query<EventRow>(
    "select owner_id, type, occurred_at, discarded from events where owner_id = any($1) and type <> 'custom'",
    [rows.map(({ id }) => id)],
  );
  return groupBy(events, ({ owner_id }) => owner_id);
}

function compareRow(
  name: string,
  { activity, events }: ExpectedEmail,
  row: ActivityRow,
  stored: readonly EventRow[],
  findings: Findings,
): void {
  for (const column of columns) {
    const found = row[column];
    const value = found instanceof Date ? found.getTime() : found;
    if (value !== activity[column])
      findings.add("differs", `${column} of ${name} is ${value} and should be ${activity[column]}`);
  }
  const found = groupBy(stored, ({ type, occurred_at }) => `${type} ${occurred_at.getTime()}`);
  for (const event of events) compareEvent(name, event, found, findings);
  for (const key of found.keys())
    findings.add("counted twice", `${key} of ${name}, which nobody has reported`);
}

function compareEvent(
  name: string,
  { type, atMs, discarded }: ExpectedEvent,
  found: Map<string, EventRow[]>,
  findings: Findings,
): void {
  const key = `${type} ${atMs}`;
  const [one, ...more] = found.get(key) ?? [];
  found.delete(key);
  if (one === undefined) findings.add("lost", `${key} of ${name}`);
  else if (one.discarded !== discarded)
    findings.add(
      "differs",
      `${key} of ${name} is discarded for ${one.discarded} and should be for ${discarded}`,
    );
  for (const _ of more) findings.add("counted twice", `${key} of ${name}`);
}

async function checkSuppressions(
  db: Database,
  known: readonly PostedMessage[],
  findings: Findings,
): Promise<void> {
  const wanted = new Set(known.flatMap(({ happening }) => suppressedBy(happening) ?? []));
  const rows = await db.query<{ address: string }>("select address from suppressions");
  const found = new Set(rows.map(({ address }) => address));
  for (const address of wanted)
    if (!found.has(address) && !address.startsWith(erasablePrefix))
      findings.add("lost", `the suppression of ${address}`);
  for (const address of found)
    if (!wanted.has(address)) findings.add("differs", `${address} is suppressed without cause`);
}

function timeOf(atMs: number): string {
  return new Date(atMs).toISOString();
}
