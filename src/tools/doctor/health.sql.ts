import { readdir } from "node:fs/promises";
import { triggerConfigurationSet, triggerTopic } from "../../domain/mail/sns-message.ts";
import type { Database } from "../../storage/database.ts";
import { tagSql } from "../../storage/stored-facts.ts";
import type { DisabledReason } from "../../storage/webhooks/endpoints.ts";

/*
 * What `fanmail doctor` asks the database. It only reads.
 */

/** A read-only view of a database: a statement that writes, or takes longer than `statementMs`, fails. */
export function readOnly(db: Database, statementMs: number): Database {
  function transaction<Result>(work: (tx: Database) => Promise<Result>): Promise<Result> {
    return db.transaction(async (tx) => {
      await tx.query(`set local statement_timeout = ${Math.max(1, Math.trunc(statementMs))}`);
      await tx.query("set transaction read only");
      return work(tx);
    });
  }
  return { transaction, query: (sql, params) => transaction((tx) => tx.query(sql, params)) };
}

export type ServerSettings = {
  /** 150004 for 15.4. */
  version_number: number;
  version: string;
  time_zone: string;
  fsync: string;
  synchronous_commit: string;
  is_standby: boolean;
  is_read_only: boolean;
  size_bytes: number;
  /** The most that this role may open here: the least limit of server, database and role. */
  connection_limit: number;
  /** Of all users of the server. */
  connections: number;
  transaction_age: number;
  now: Date;
};

export async function serverSettings(db: Database): Promise<ServerSettings | null> {
  const [facts] = await db.query<ServerSettings>(
    `select current_setting('server_version_num')::integer as version_number,
       split_part(current_setting('server_version'), ' ', 1) as version,
       current_setting('TimeZone') as time_zone, current_setting('fsync') as fsync,
       current_setting('synchronous_commit') as synchronous_commit,
       pg_is_in_recovery() as is_standby, current_setting('default_transaction_read_only') = 'on' as is_read_only,
       pg_database_size(datname)::float as size_bytes,
       least(current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
         nullif(datconnlimit, -1), nullif(rolconnlimit, -1)) as connection_limit,
       (select count(*)::integer from pg_stat_activity where backend_type = 'client backend') as connections,
       age(datfrozenxid)::float as transaction_age, clock_timestamp() as now
     from pg_database, pg_roles where datname = current_database() and rolname = current_user`,
  );
  return facts ?? null;
}

/** @returns names of files of `directory` that were not applied, and names that were applied and are not in it. */
export async function migrationGap(
  db: Database,
  directory: URL,
): Promise<{ pending: string[]; unknown: string[]; applied: number }> {
  const files = (await readdir(directory)).filter((name) => /^\d{4}_\w+\.sql$/.test(name)).sort();
  const [table] = await db.query<{ found: boolean }>("select to_regclass('migrations') is not null as found");
  const rows = table?.found
    ? await db.query<{ name: string }>("select name from migrations order by name")
    : [];
  const applied = rows.map(({ name }) => name);
  return {
    pending: files.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !files.includes(name)),
    applied: applied.length,
  };
}

/** True when nothing has arrived except from `fanmail trigger`, and there are no endpoints. */
export async function isUnused(db: Database): Promise<boolean> {
  const [row] = await db.query<{ is_unused: boolean }>(
    `select not exists (select from notifications where topic_id not in (select id from topics where arn = $1))
       and not exists (select from activity
         where (${tagSql("ses:configuration-set")} in ($2::jsonb, jsonb_build_array($2::jsonb))) is not true)
       and not exists (select from webhook_endpoints) as is_unused`,
    [triggerTopic, JSON.stringify(triggerConfigurationSet)],
  );
  return row?.is_unused === true;
}

const tables = [
  "account_statuses",
  "activity",
  "api_keys",
  "attempts",
  "batches",
  "deliveries",
  "events",
  "notifications",
  "projects",
  "recipients",
  "suppressions",
  "tenant_suppressions",
  "topics",
  "webhook_endpoints",
  "webhook_lanes",
  "webhook_secrets",
];

/** The privileges that the role lacks on tables: `notifications: insert, update`. */
export async function missingPrivileges(db: Database): Promise<string[]> {
  const rows = await db.query<{ lacking: string }>(
    `select format('%s: %s', name, string_agg(privilege, ', ' order by place)) as lacking
     from unnest($1::text[]) as name,
       unnest(array['select', 'insert', 'update', 'delete']) with ordinality as needed(privilege, place)
     where to_regclass(name) is not null and not has_table_privilege(to_regclass(name)::oid, privilege)
     group by name order by name`,
    [tables],
  );
  return rows.map(({ lacking }) => lacking);
}

/** Whether the role can create partitions: it must have the rights of the tables' owner, and may create in their schema. */
export async function canMakePartitions(db: Database): Promise<boolean> {
  const [row] = await db.query<{ can: boolean }>(
    `select bool_and(pg_has_role(relowner, 'usage') and has_schema_privilege(relnamespace, 'create')) as can
     from pg_class where oid in (to_regclass('notifications'), to_regclass('events'))`,
  );
  return row?.can ?? false;
}

/** Names such as `notifications_2026_11_25` and `events_2026_11`. */
export async function partitionNames(db: Database): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid
     where inhparent in (to_regclass('notifications'), to_regclass('events'))`,
  );
  return rows.map(({ name }) => name);
}

export type Backlog = {
  /** Batches that are older than a minute and were never tried. */
  waiting: number;
  oldest_seconds: number;
  /** Whether a batch was applied in the last minute. */
  is_moving: boolean;
  /** Batches whose attempts failed. */
  failing: number;
  attempts: number;
  last_error: string | null;
};

/** @param yesterdayId no batch of the last day has a smaller id. */
export async function batchBacklog(db: Database, yesterdayId: string): Promise<Backlog | null> {
  const [backlog] = await db.query<Backlog>(
    `select (count(*) filter (where is_late))::integer as waiting,
       coalesce(extract(epoch from now() - min(received_at) filter (where is_late)), 0)::float as oldest_seconds,
       exists (select from batches where id >= $1::uuid and applied_at > now() - interval '1 minute') as is_moving,
       (count(*) filter (where attempts > 0))::integer as failing, coalesce(max(attempts), 0) as attempts,
       (array_agg(last_error order by attempts desc) filter (where last_error is not null))[1] as last_error
     from (select attempts, last_error, received_at,
             attempts = 0 and received_at < now() - interval '1 minute' as is_late
           from batches where applied_at is null) as unapplied`,
    [yesterdayId],
  );
  return backlog ?? null;
}

/**
 * Quarantined notifications, by reason. Of several batches that were applied together only one has the count.
 * @param sinceId no batch of that time has a smaller id.
 */
export async function quarantinedSince(
  db: Database,
  sinceId: string,
): Promise<{ reason: string; count: number }[]> {
  return db.query(
    `select quarantine_reason as reason, count(*)::integer as count
     from batches join notifications
       on batch_id = batches.id and sns_timestamp between first_timestamp and last_timestamp
     where batches.id >= $1::uuid and quarantine_reason is not null
       and applied_at in (select applied_at from batches where id >= $1::uuid and quarantined_count > 0)
     group by 1 order by 2 desc, 1 limit 10`,
    [sinceId],
  );
}

export type LaneHealth = {
  id: string;
  url: string;
  due: number;
  oldest_due_seconds: number;
  failing_since: Date | null;
};

/** Enabled endpoints with due deliveries or failures, the ones furthest behind first. */
export async function lanesBehind(db: Database, limit: number): Promise<LaneHealth[]> {
  return db.query<LaneHealth>(
    `select endpoint.id, url, due.count as due, failing_since,
       coalesce(extract(epoch from now() - due.oldest), 0)::float as oldest_due_seconds
     from webhook_endpoints endpoint
     join webhook_lanes lane on lane.project_id = endpoint.project_id and lane.endpoint_id = endpoint.id,
     lateral (
       select count(*)::integer as count, min(greatest(due_at, created_at)) as oldest from deliveries
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and deliveries.state in ('pending', 'retrying') and due_at <= now()) as due
     where endpoint.state = 'enabled' and (due.count > 0 or failing_since is not null)
     order by due.oldest nulls last, endpoint.id limit $1::integer`,
    [limit],
  );
}

export type DisabledHealth = {
  id: string;
  url: string;
  disabled_reason: DisabledReason;
  disabled_at: Date;
  held: number;
};

export async function disabledEndpoints(db: Database, limit: number): Promise<DisabledHealth[]> {
  return db.query<DisabledHealth>(
    `select id, url, disabled_reason, disabled_at,
       (select count(*)::integer from deliveries
        where project_id = endpoint.project_id and endpoint_id = endpoint.id and state = 'held') as held
     from webhook_endpoints endpoint where state = 'disabled' order by disabled_at desc, id limit $1::integer`,
    [limit],
  );
}

export type SealedHealth = {
  endpoint_id: string;
  url: string;
  kind: "secret" | "headers";
  sealed: Buffer;
};

/** Encrypted secrets and headers of endpoints that are in use. */
export async function sealedInUse(db: Database, limit: number): Promise<SealedHealth[]> {
  return db.query<SealedHealth>(
    `select endpoint.id as endpoint_id, url, kind, sealed from webhook_endpoints endpoint, lateral (
       select 'secret' as kind, sealed from webhook_secrets
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and (expires_at is null or expires_at > now())
       union all select 'headers', sealed_headers where sealed_headers is not null) as part
     where state <> 'deleted' order by endpoint.id limit $1::integer`,
    [limit],
  );
}
