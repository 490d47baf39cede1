import type { Clock } from "../clock.ts";
import { type ErasedPerson, erasedNotification, erasedWebhook, pseudonymOf } from "../domain/erasure.ts";
import type { Database } from "../storage/database.ts";
import { retryConflicts } from "../storage/database-errors.ts";
import { type AcceptedNotification, replaceBodies } from "../storage/journal.ts";
import { firstPlace, type JournalPlace, placeAfter, walkFrom, walkJournal } from "../storage/journal-walk.ts";
import { journalDays } from "../storage/partitions.ts";
import {
  type DeliveryBody,
  type ErasedRows,
  type Erasure,
  eraseLateRows,
  eraseRows,
  finishErasure,
  type OpenErasure,
  openErasure,
  recordErasurePlace,
  replaceDeliveries,
  takeErasure,
  waitingDeliveries,
  walkDeliveries,
} from "./erasures.sql.ts";
import { type EventPlace, eraseMentions } from "./event-mentions.sql.ts";

export type ErasedFromRows = ErasedRows & { cancelledWebhooks: number };

/**
 * Erases a person from rows, events and waiting webhooks at once. The journal and posted webhooks follow, see
 * `eraseStep`. Rows and counts stay, under a pseudonym.
 * @param address in the form that is matched.
 * @returns null if nothing is stored about the person.
 */
export async function erasePerson(
  { db, clock }: { db: Database; clock: Pick<Clock, "newId" | "now"> },
  projectId: string,
  { address, keepSuppression }: { address: string; keepSuppression: boolean },
): Promise<ErasedFromRows | null> {
  const id = clock.newId();
  const person = { address, pseudonym: pseudonymOf(id) };
  const erasure: Erasure = { project_id: projectId, id, ...person, keep_suppression: keepSuppression };
  return retryConflicts(() =>
    db.transaction(async (tx) => {
      const rows = await eraseRows(tx, erasure);
      const isKnown = rows.recipientId !== null || rows.activities > 0 || rows.isSuppressionRemoved;
      if (!isKnown) return null;
      const waiting = await waitingDeliveries(tx, projectId, address);
      const cancelledWebhooks = await eraseWebhooks(tx, { ...erasure, created_at: clock.now() }, waiting);
      await openErasure(tx, erasure);
      return { ...rows, cancelledWebhooks };
    }),
  );
}

/** The progress of an erasure: first the journal, then webhooks, then events of others. */
type ErasurePlace =
  | { kind: "journal"; at: JournalPlace }
  | { kind: "webhooks"; after: string | null }
  | { kind: "events"; after: EventPlace | null };

const rowsPerStep = 1_000;
const eventsPerStep = 10_000;

/**
 * Continues the oldest open erasure with the next part of the journal, of webhooks or of other people's events. Data
 * from after the erasure stays. At the end rows are checked again, because a batch may have been running.
 * @returns whether there was anything to do.
 */
export async function eraseStep(db: Database): Promise<boolean> {
  return db.transaction(async (tx) => {
    const erasure = await takeErasure(tx);
    if (erasure === null) return false;
    // Only written below.
    const place =
      (erasure.place as ErasurePlace | null) ?? inJournal(firstPlace(await journalDays(tx), null));
    const next = await eraseFrom(tx, erasure, place);
    if (next !== null) {
      await recordErasurePlace(tx, erasure, next);
      return true;
    }
    await eraseLateRows(tx, erasure);
    await finishErasure(tx, erasure);
    return true;
  });
}

async function eraseFrom(
  tx: Database,
  erasure: OpenErasure,
  place: ErasurePlace,
): Promise<ErasurePlace | null> {
  switch (place.kind) {
    case "journal":
      return eraseFromJournal(tx, erasure, place.at);
    case "webhooks":
      return eraseFromWebhooks(tx, erasure, place.after);
    case "events": {
      const after = await eraseMentions(tx, erasure, place.after, eventsPerStep);
      return after && { kind: "events", after };
    }
    default:
      throw new Error(`unreachable: ${place satisfies never}`);
  }
}

function inJournal(at: JournalPlace | null): ErasurePlace {
  return at === null ? { kind: "webhooks", after: null } : { kind: "journal", at };
}

async function eraseFromJournal(tx: Database, erasure: OpenErasure, at: JournalPlace): Promise<ErasurePlace> {
  const walk = { ...walkFrom(at), since: null, projectId: erasure.project_id };
  const notifications = await walkJournal(tx, walk, rowsPerStep);
  const earlier = notifications.filter(({ sns_timestamp }) => sns_timestamp <= erasure.created_at);
  await eraseFromNotifications(tx, earlier, [erasure]);
  return inJournal(placeAfter(at, notifications, rowsPerStep, await journalDays(tx)));
}

/** Erases people from notifications of the journal. */
export async function eraseFromNotifications(
  tx: Database,
  notifications: readonly AcceptedNotification[],
  people: readonly (ErasedPerson & { project_id: string })[],
): Promise<void> {
  const erased = notifications.flatMap((notification) => {
    const { project_id, sns_timestamp } = notification;
    const body = people
      .filter((person) => person.project_id === project_id)
      .reduce(
        (left, person) => erasedNotification(project_id, { body: left, sns_timestamp }, person) ?? left,
        notification.body,
      );
    return body === notification.body ? [] : [{ ...notification, body }];
  });
  await replaceBodies(tx, erased);
}

async function eraseFromWebhooks(
  tx: Database,
  erasure: OpenErasure,
  after: string | null,
): Promise<ErasurePlace> {
  const rows = await walkDeliveries(tx, erasure.project_id, after, rowsPerStep);
  await eraseWebhooks(tx, erasure, rows);
  const last = rows.at(-1);
  return last && rows.length === rowsPerStep
    ? { kind: "webhooks", after: last.id }
    : { kind: "events", after: null };
}

/** @returns the number of webhooks that will not be delivered. */
async function eraseWebhooks(
  tx: Database,
  erasure: Erasure & { created_at: Date },
  rows: readonly DeliveryBody[],
): Promise<number> {
  const erased = rows.flatMap(({ id, body }) => {
    const left = erasedWebhook(body, erasure, erasure.created_at);
    return left === null ? [] : [{ id, body: left }];
  });
  return replaceDeliveries(tx, erasure.project_id, erased);
}
