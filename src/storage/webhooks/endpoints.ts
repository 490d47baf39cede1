import { conditions } from "../conditions.ts";
import type { Database } from "../database.ts";
import { addCursor, exactTimeSql, type Page, pageLimit } from "../pages.ts";
import { countRows, type Total } from "../totals.ts";

export type DisabledReason = "manual" | "gone" | "failing";

/** What the API and the CLI can set. */
export type EndpointSettings = {
  url: string;
  /** Names of webhook events; `*`: all. */
  event_types: string[];
  description: string | null;
  header_names: string[];
  max_in_flight: number;
  /** null: as fast as it answers. */
  rate_per_second: number | null;
  /** One at a time and in event order. */
  ordered: boolean;
  legacy_signature: boolean;
};

/** Which endpoint: its project and its id. */
export type EndpointRef = { project_id: string; id: string };

export type Endpoint = EndpointSettings &
  EndpointRef & {
    state: "enabled" | "disabled";
    disabled_reason: DisabledReason | null;
    disabled_at: Date | null;
    created_at: Date;
    updated_at: Date;
  };

/** With the table alias `endpoint`. */
export const endpointColumns = [
  "project_id",
  "id",
  "url",
  "event_types",
  "description",
  "header_names",
  "max_in_flight",
  "rate_per_second",
  "ordered",
  "legacy_signature",
  "state",
  "disabled_reason",
  "disabled_at",
  "created_at",
  "updated_at",
]
  .map((name) => `endpoint.${name}`)
  .join(", ");

/** `sealed_headers`: encrypted; null: there are none. */
export type NewEndpoint = EndpointSettings & {
  project_id: string;
  id: string;
  sealed_headers: Buffer | null;
  secret: { id: string; sealed: Buffer };
};

/** Stores an endpoint, its lane and its first secret. */
export async function insertEndpoint(db: Database, endpoint: NewEndpoint): Promise<void> {
  const { project_id, id, secret } = endpoint;
  await db.transaction(async (tx) => {
    await tx.query(
      `insert into webhook_endpoints (project_id, id, url, event_types, description, header_names, sealed_headers,
         max_in_flight, rate_per_second, ordered, legacy_signature)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
      [
        project_id,
        id,
        endpoint.url,
        endpoint.event_types,
        endpoint.description,
        endpoint.header_names,
        endpoint.sealed_headers,
        endpoint.max_in_flight,
        endpoint.rate_per_second,
        endpoint.ordered,
        endpoint.legacy_signature,
      ],
    );
    await tx.query("insert into webhook_lanes (project_id, endpoint_id) values ($1, $2)", [project_id, id]);
    await tx.query(
      "insert into webhook_secrets (project_id, endpoint_id, id, sealed) values ($1, $2, $3, $4)",
      [project_id, id, secret.id, secret.sealed],
    );
  });
}

/** The columns that can be changed. */
const changeable = [
  "url",
  "event_types",
  "description",
  "header_names",
  "sealed_headers",
  "max_in_flight",
  "rate_per_second",
  "ordered",
  "legacy_signature",
] as const;
export type EndpointChange = { [Name in (typeof changeable)[number]]?: NewEndpoint[Name] | undefined };

/** Writes the given columns only: a concurrent request may change the others. */
export async function updateEndpoint(
  db: Database,
  { project_id, id }: EndpointRef,
  change: EndpointChange,
): Promise<void> {
  const given = changeable.filter((name) => change[name] !== undefined);
  if (given.length === 0) return;
  const assigned = given.map((name, index) => `${name} = $${index + 3}`);
  await db.query(
    `update webhook_endpoints set ${assigned.join(", ")}, updated_at = now() where project_id = $1 and id = $2`,
    [project_id, id, ...given.map((name) => change[name])],
  );
}

/** Endpoints of some projects, or of all, oldest first. */
export async function listEndpoints(db: Database, projectIds?: readonly string[]): Promise<Endpoint[]> {
  return db.query<Endpoint>(
    `select ${endpointColumns} from webhook_endpoints endpoint
     where state <> 'deleted' and ($1::uuid[] is null or project_id = any($1)) order by created_at, id`,
    [projectIds ?? null],
  );
}

/** `created_at_exact`: with its microseconds, for cursors. */
export type ListedEndpoint = Endpoint & { created_at_exact: string };

/** Newest first. */
export async function pageOfEndpoints(
  db: Database,
  projectId: string,
  page: Page,
): Promise<ListedEndpoint[]> {
  const { add, where, params } = conditions();
  add("project_id = ?", projectId);
  add("state <> 'deleted'");
  addCursor({ add }, "created_at, id", page.after);
  return db.query<ListedEndpoint>(
    `select ${endpointColumns}, ${exactTimeSql("created_at")} as created_at_exact
     from webhook_endpoints endpoint where ${where()} order by created_at desc, id desc
     ${pageLimit(page)}`,
    params,
  );
}

export async function countEndpoints(db: Database, projectId: string): Promise<Total> {
  return countRows(db, "from webhook_endpoints where project_id = $1 and state <> 'deleted'", [projectId]);
}

export async function findEndpoint(db: Database, projectId: string, id: string): Promise<Endpoint | null> {
  const [endpoint] = await db.query<Endpoint>(
    `select ${endpointColumns} from webhook_endpoints endpoint
     where project_id = $1 and id = $2 and state <> 'deleted'`,
    [projectId, id],
  );
  return endpoint ?? null;
}

/** Finds an endpoint in any project. */
export async function findEndpointAnywhere(db: Database, id: string): Promise<Endpoint | null> {
  const [endpoint] = await db.query<Endpoint>(
    `select ${endpointColumns} from webhook_endpoints endpoint where id::text = lower($1) and state <> 'deleted'`,
    [id],
  );
  return endpoint ?? null;
}

/** @returns null if it does not exist or is not enabled. */
export async function markDisabled(
  tx: Database,
  { project_id, id }: EndpointRef,
  reason: DisabledReason,
): Promise<Endpoint | null> {
  const [endpoint] = await tx.query<Endpoint>(
    `update webhook_endpoints endpoint
     set state = 'disabled', disabled_reason = $3, disabled_at = clock_timestamp(), updated_at = now()
     where project_id = $1 and id = $2 and state = 'enabled' returning ${endpointColumns}`,
    [project_id, id, reason],
  );
  return endpoint ?? null;
}

/** @returns null if it does not exist. */
export async function markEnabled(tx: Database, { project_id, id }: EndpointRef): Promise<Endpoint | null> {
  const [endpoint] = await tx.query<Endpoint>(
    `update webhook_endpoints endpoint
     set state = 'enabled', disabled_reason = null, disabled_at = null, updated_at = now()
     where project_id = $1 and id = $2 and state <> 'deleted' returning ${endpointColumns}`,
    [project_id, id],
  );
  return endpoint ?? null;
}

/** Also deletes its secrets and headers. @returns whether it existed. */
export async function markDeleted(tx: Database, { project_id, id }: EndpointRef): Promise<boolean> {
  const deleted = await tx.query(
    `update webhook_endpoints set state = 'deleted', disabled_at = now(), sealed_headers = null, updated_at = now()
     where project_id = $1 and id = $2 and state <> 'deleted' returning id`,
    [project_id, id],
  );
  await tx.query("delete from webhook_secrets where project_id = $1 and endpoint_id = $2", [project_id, id]);
  return deleted.length > 0;
}

/** Endpoints that are not enabled but have unfinished deliveries. */
export async function restingEndpoints(
  db: Database,
): Promise<(EndpointRef & { state: "disabled" | "deleted" })[]> {
  return db.query(
    `select project_id, id, state from webhook_endpoints endpoint
     where state <> 'enabled' and exists (
       select from deliveries
       where project_id = endpoint.project_id and endpoint_id = endpoint.id
         and deliveries.state in ('pending', 'retrying'))`,
  );
}

/** Removes the rows of endpoints that were deleted a day ago: no transaction can write deliveries for them any more. */
export async function forgetDeletedEndpoints(db: Database): Promise<void> {
  await db.query(
    `delete from webhook_endpoints where (project_id, id) in (
       select project_id, id from webhook_endpoints
       where state = 'deleted' and disabled_at < now() - interval '1 day' for update skip locked)`,
  );
}

/** The active secrets of an endpoint, encrypted, newest first. */
export async function activeSecrets(db: Database, { project_id, id }: EndpointRef): Promise<Buffer[]> {
  const rows = await db.query<{ sealed: Buffer }>(
    `select sealed from webhook_secrets
     where project_id = $1 and endpoint_id = $2 and (expires_at is null or expires_at > now())
     order by created_at desc, id desc`,
    [project_id, id],
  );
  return rows.map(({ sealed }) => sealed);
}

/**
 * Adds a secret. The older ones also sign until the overlap ends, or an earlier one that is still running. Expired secrets
 * are deleted.
 */
export async function rotateSecret(
  tx: Database,
  { project_id, id }: EndpointRef,
  secret: { id: string; sealed: Buffer },
  overlapSeconds: number,
): Promise<void> {
  await tx.query(
    "select 1 from webhook_secrets where project_id = $1 and endpoint_id = $2 order by id for update",
    [project_id, id],
  );
  await tx.query(
    "delete from webhook_secrets where project_id = $1 and endpoint_id = $2 and expires_at <= now()",
    [project_id, id],
  );
  await tx.query(
    `update webhook_secrets set expires_at = least(expires_at, now() + $3 * interval '1 second')
     where project_id = $1 and endpoint_id = $2`,
    [project_id, id, overlapSeconds],
  );
  await tx.query(
    `insert into webhook_secrets (project_id, endpoint_id, id, sealed, created_at)
     values ($1, $2, $3, $4, clock_timestamp())`,
    [project_id, id, secret.id, secret.sealed],
  );
}
