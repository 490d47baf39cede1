import { erasedDomain } from "../../domain/erasure.ts";
import { type ActivityName, nameColumns } from "../../storage/activity.ts";
import { type Columns, columnList, rowSource } from "../../storage/columns.ts";
import type { Database } from "../../storage/database.ts";
import type { AcceptedNotification, NotificationKey } from "../../storage/journal.ts";

/** What is rebuilt. */
export type RebuildScope = {
  project_id: string | null;
  since: Date | null;
  dry_run: boolean;
  version: string;
};

export type Rebuild = RebuildScope & {
  id: string;
  phase: "reading" | "comparing" | "finished";
  place: unknown;
  steps: number;
  started_at: Date;
  notification_count: number;
  activity_count: number;
  change_count: number;
};

const columns = `id, project_id, since, dry_run, version, phase, place, steps, started_at,
  notification_count::double precision, activity_count::double precision, change_count::double precision`;

const keyColumns: Columns<NotificationKey> = {
  project_id: "uuid",
  topic_id: "uuid",
  sns_message_id: "uuid",
  sns_timestamp: "timestamptz",
};

/** The rebuild of this scope that was interrupted within the last day, or null. */
export async function findInterrupted(db: Database, scope: RebuildScope): Promise<Rebuild | null> {
  const [found] = await db.query<Rebuild>(
    `select ${columns} from rebuilds
     where phase <> 'finished' and project_id is not distinct from $1 and since is not distinct from $2
       and dry_run = $3 and version = $4 and started_at > now() - interval '1 day'
     order by started_at desc limit 1`,
    [scope.project_id, scope.since, scope.dry_run, scope.version],
  );
  return found ?? null;
}

export async function startRebuild(db: Database, id: string, scope: RebuildScope): Promise<Rebuild> {
  return db.transaction(async (tx) => {
    await tx.query(
      `create table ${sourcesPartition(id)} partition of rebuild_sources for values in ('${id}')`,
    );
    const [started] = await tx.query<Rebuild>(
      `insert into rebuilds (id, project_id, since, dry_run, version)
       values ($1, $2, $3, $4, $5) returning ${columns}`,
      [id, scope.project_id, scope.since, scope.dry_run, scope.version],
    );
    if (!started) throw new Error("unreachable: an insert without its row");
    return started;
  });
}

/**
 * Records a step, in the step's transaction.
 * @throws if another process has made a step meanwhile; this one is rolled back.
 */
export async function recordStep(tx: Database, before: Rebuild, after: Rebuild): Promise<Rebuild> {
  const [recorded] = await tx.query<Rebuild>(
    `update rebuilds set phase = $3, place = $4, notification_count = $5, activity_count = $6, change_count = $7,
       steps = steps + 1, finished_at = case when $3 = 'finished' then now() end
     where id = $1 and steps = $2 returning ${columns}`,
    [
      before.id,
      before.steps,
      after.phase,
      JSON.stringify(after.place),
      after.notification_count,
      after.activity_count,
      after.change_count,
    ],
  );
  if (!recorded) {
    throw new Error("Another process goes on with this rebuild, or a person was erased; start it again");
  }
  return recorded;
}

/** Ends this rebuild, and all that were interrupted more than a day ago. */
export async function endRebuilds(db: Database, id: string | null): Promise<void> {
  await db.query(
    `update rebuilds set phase = 'finished', finished_at = now(), steps = steps + 1
     where phase <> 'finished' and (id = $1 or started_at < now() - interval '1 day')`,
    [id],
  );
  const ended = await db.query<{ id: string }>(
    `select id from rebuilds join pg_class on relname = 'rebuild_sources_' || replace(id::text, '-', '')
     join pg_inherits on inhrelid = pg_class.oid and inhparent = 'rebuild_sources'::regclass
     where phase = 'finished'`,
  );
  for (const rebuild of ended) await db.query(`drop table if exists ${sourcesPartition(rebuild.id)}`);
}

/** Records which notifications are about which activities. */
export async function addSources(
  tx: Database,
  rebuildId: string,
  sources: readonly (ActivityName & NotificationKey)[],
): Promise<void> {
  const sourceColumns = { ...nameColumns, ...keyColumns };
  const source = rowSource(sourceColumns, sources, 2);
  await tx.query(
    `insert into rebuild_sources (rebuild_id, ${columnList(sourceColumns)})
     select $1, ${columnList(sourceColumns)} from ${source.sql}`,
    [rebuildId, ...source.params],
  );
}

/**
 * The next activities after a place, in order of their names: those in the journal and, if the whole journal is read,
 * all others too. Activities of erased people are left alone, because the journal no longer contains them.
 */
export async function activitiesAfter(
  db: Database,
  { id, project_id, since }: Rebuild,
  after: ActivityName | null,
  limit: number,
): Promise<ActivityName[]> {
  const isAfter =
    "($2::uuid is null or (project_id, message_id, recipient) > ($2::uuid, $3::text, $4::text))";
  const told = `(select distinct project_id, message_id, recipient from rebuild_sources
      where rebuild_id = $1 and ${isAfter} and recipient not like $7 order by 1, 2, 3 limit $5)`;
  const stored = `(select project_id, message_id, recipient from activity
      where ${isAfter} and ($6::uuid is null or project_id = $6) and recipient not like $7 order by 1, 2, 3 limit $5)`;
  const names = since === null ? `${told} union ${stored}` : told;
  return db.query<ActivityName>(
    `select project_id, message_id, recipient from (${names}) as named
     where $6::uuid is null or project_id = $6 order by 1, 2, 3 limit $5`,
    [
      id,
      after?.project_id ?? null,
      after?.message_id ?? null,
      after?.recipient ?? null,
      limit,
      project_id,
      `%@${erasedDomain}`,
    ],
  );
}

export type SourceNotification = AcceptedNotification & { batch_id: string };

/** The notifications about activities, each once. */
export async function notificationsOf(
  db: Database,
  rebuildId: string,
  names: readonly ActivityName[],
): Promise<SourceNotification[]> {
  const source = rowSource(nameColumns, names, 2);
  return db.query<SourceNotification>(
    `select project_id, topic_id, sns_message_id, sns_timestamp, batch_id, body from notifications
     join (
       select distinct project_id, topic_id, sns_message_id, sns_timestamp from rebuild_sources
       join ${source.sql} using (project_id, message_id, recipient) where rebuild_id = $1
     ) as told using (project_id, topic_id, sns_message_id, sns_timestamp)`,
    [rebuildId, ...source.params],
  );
}

/** Which of these batches wait for a worker. */
export async function waitingBatches(db: Database, ids: readonly string[]): Promise<Set<string>> {
  const rows = await db.query<{ id: string }>(
    "select id from batches where id = any($1::uuid[]) and applied_at is null",
    [ids],
  );
  return new Set(rows.map(({ id }) => id));
}

function sourcesPartition(rebuildId: string): string {
  return `rebuild_sources_${rebuildId.replaceAll("-", "")}`;
}
