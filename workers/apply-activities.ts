import type { Context } from "../src/context.ts";
import { emptyActivity } from "../src/domain/mail/activity.ts";
import type { TouchedActivity } from "../src/domain/mail/activity-change.ts";
import type { DiscardReason } from "../src/domain/mail/decision.ts";
import type { EmailEventType } from "../src/domain/mail/event-names.ts";
import { addedFacts } from "../src/domain/mail/mail-facts.ts";
import { groupBy } from "../src/domain/maps.ts";
import { emailWebhook, suppressionWebhook } from "../src/domain/webhooks/event.ts";
import { updateActivities, updateStates, updateTagsAndStates } from "../src/storage/activity.ts";
import type { Database } from "../src/storage/database.ts";
import { insertEvents, updateDecisions } from "../src/storage/events.ts";
import { projectRules } from "../src/storage/projects.ts";
import { makeRecipients } from "../src/storage/recipients.ts";
import type { OwedWebhook } from "../src/webhooks/owe-deliveries.ts";
import {
  type ChangedActivity,
  correct,
  erasedAmong,
  eventRows,
  type LockedActivity,
  lockOrInsert,
  type RulesOf,
  rowOf,
} from "./fold-activities.ts";
import { type SuppressionAdded, suppressRecipients } from "./suppress-recipients.ts";

export type Applied = {
  /** New events. */
  events: number;
  discarded: number;
  /** The types of events that count now and did not before. */
  counted: EmailEventType[];
  /** The reason of each event that was discarded. */
  discardedFor: DiscardReason[];
  webhooks: EventWebhook[];
  /** Activities of erased people, which are not recorded. */
  erased: TouchedActivity[];
};

/** @property eventId the event behind it. */
export type EventWebhook = OwedWebhook & { eventId: string };

type ApplyContext = Pick<Context, "partitions" | "config" | "clock">;

export const nothingApplied: Applied = {
  events: 0,
  discarded: 0,
  counted: [],
  discardedFor: [],
  webhooks: [],
  erased: [],
};

/** Folds events into their activities, and writes all consequences but webhooks, which it returns. */
export async function applyActivities(
  context: ApplyContext,
  tx: Database,
  touched: readonly TouchedActivity[],
): Promise<Applied> {
  if (touched.length === 0) return nothingApplied;
  await context.partitions.ensure(
    "events",
    touched.flatMap(({ events }) => events.map((event) => event.occurred_at)),
  );
  const rulesOf = await rulesFor(context, tx, touched);
  const expected = await lockOrInsert(tx, touched, rulesOf);
  await recordRecipients(context, tx, expected);
  const added = await insertEvents(tx, expected.flatMap(eventRows));
  const changed = await correct(tx, expected, added, rulesOf);
  await writeRows(tx, changed);
  await writeDecisions(tx, changed);
  const suppressions = await suppressRecipients(tx, changed);
  const discardedFor = changed.flatMap(({ change }) => change.discardedFor);
  return {
    events: added.size,
    discarded: discardedFor.length,
    counted: changed.flatMap(({ change }) => change.counted.map(({ type }) => type)),
    discardedFor,
    webhooks: webhooksOf(changed, suppressions, context.clock.now()),
    erased: erasedAmong(touched, expected),
  };
}

async function rulesFor(
  { config }: ApplyContext,
  tx: Database,
  touched: readonly TouchedActivity[],
): Promise<RulesOf> {
  const projectIds = [...new Set(touched.map(({ projectId }) => projectId))];
  const rulesOf = await projectRules(tx, projectIds, config.openWindowSeconds);
  return (projectId) => {
    const rules = rulesOf.get(projectId);
    if (rules === undefined) throw new Error(`There is no project ${projectId}`);
    return rules;
  };
}

/** Everyone who is sent an email is a recipient. Only new activities need the check. */
async function recordRecipients(
  { clock }: ApplyContext,
  tx: Database,
  locked: readonly LockedActivity[],
): Promise<void> {
  const recipients = locked
    .filter(({ row }) => row.current_status === emptyActivity.current_status)
    .map(({ row }) => ({ project_id: row.project_id, id: clock.newId(), address: row.recipient }));
  if (recipients.length > 0) await makeRecipients(tx, recipients);
}

/** Writes what changed: nothing of rows that were inserted as they are, and of most others only the state. */
async function writeRows(tx: Database, changed: readonly ChangedActivity[]): Promise<void> {
  const parts = groupBy(changed, partToWrite);
  const rowsOf = (part: ReturnType<typeof partToWrite>) => (parts.get(part) ?? []).map(rowOf);
  await updateStates(tx, rowsOf("state"));
  await updateTagsAndStates(tx, rowsOf("tags and state"));
  await updateActivities(tx, rowsOf("all"));
}

function partToWrite(one: ChangedActivity): "nothing" | "state" | "tags and state" | "all" {
  if (one.isInserted) return one.isCorrected ? "all" : "nothing";
  const added = addedFacts(one.row, one.facts);
  if (added !== "nothing") return added === "tags" ? "tags and state" : "all";
  return one.events.length + one.enriched.length > 0 ? "state" : "nothing";
}

/** Decisions that differ from the stored ones. Those about new events are stored with them. */
async function writeDecisions(tx: Database, changed: readonly ChangedActivity[]): Promise<void> {
  const decisions = changed.flatMap(({ row, isCorrected, change }) =>
    isCorrected
      ? change.decisions.map(({ event, decision }) => ({
          project_id: row.project_id,
          owner_id: row.id,
          occurred_at: event.occurred_at,
          id: event.id,
          ...decision,
        }))
      : [],
  );
  if (decisions.length > 0) await updateDecisions(tx, decisions);
}

function webhooksOf(
  changed: readonly ChangedActivity[],
  suppressions: readonly SuppressionAdded[],
  now: Date,
): EventWebhook[] {
  const ofEvents = changed.flatMap(({ row, facts, change, recordedAt }) =>
    change.counted.map((event) => ({
      project_id: row.project_id,
      eventId: event.id,
      webhook: emailWebhook(
        { project_id: row.project_id, id: row.id, ...facts },
        event,
        recordedAt.get(event.id) ?? now,
      ),
    })),
  );
  const ofSuppressions = suppressions
    // An echo is a suppression that SES knew before.
    .filter(({ suppression }) => !suppression.isEcho)
    .map(({ row, event, suppression }) => ({
      project_id: row.project_id,
      eventId: event.id,
      webhook: suppressionWebhook(row, event, suppression, now),
    }));
  return [...ofEvents, ...ofSuppressions];
}
