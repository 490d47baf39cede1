import type { Database } from "./database.ts";

export type Endpoint = {
  project_id: string;
  id: string;
  url: string;
  event_types: string[];
  description: string | null;
  state: "enabled" | "disabled";
  max_in_flight: number;
  created_at: Date;
};

const columns = "project_id, id, url, event_types, description, state, max_in_flight, created_at";

export type NewEndpoint = Pick<Endpoint, "project_id" | "id" | "url" | "event_types" | "description"> & {
  secret: { id: string; sealed: Buffer };
};

/** Stores an endpoint and its first secret. */
export async function insertEndpoint(db: Database, endpoint: NewEndpoint): Promise<void> {
  await db.transaction(async (tx) => {
    await tx.query(
      `insert into webhook_endpoints (project_id, id, url, event_types, description) values ($1, $2, $3, $4, $5)`,
      [endpoint.project_id, endpoint.id, endpoint.url, endpoint.event_types, endpoint.description],
    );
    await tx.query(
      "insert into webhook_secrets (project_id, endpoint_id, id, sealed) values ($1, $2, $3, $4)",
      [endpoint.project_id, endpoint.id, endpoint.secret.id, endpoint.secret.sealed],
    );
  });
}

/** Endpoints of one project, or of all. */
export async function listEndpoints(db: Database, projectId?: string): Promise<Endpoint[]> {
  return db.query<Endpoint>(
    `select ${columns} from webhook_endpoints where $1::uuid is null or project_id = $1 order by created_at, id`,
    [projectId ?? null],
  );
}

/** @returns null when there is none. */
export async function findEndpoint(db: Database, projectId: string, id: string): Promise<Endpoint | null> {
  const [endpoint] = await db.query<Endpoint>(
    `select ${columns} from webhook_endpoints where project_id = $1 and id = $2`,
    [projectId, id],
  );
  return endpoint ?? null;
}

/** Cancels what the endpoint is still owed. @returns whether there was such an endpoint. */
export async function deleteEndpoint(db: Database, id: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const deleted = await tx.query("delete from webhook_endpoints where id::text = lower($1) returning id", [
      id,
    ]);
    await tx.query(
      `update deliveries set state = 'cancelled', finished_at = now()
       where endpoint_id::text = lower($1) and state in ('pending', 'leased', 'retrying', 'held')`,
      [id],
    );
    return deleted.length > 0;
  });
}

/** The encrypted secrets that sign for an endpoint now, the newest first. */
export async function activeSecrets(db: Database, projectId: string, endpointId: string): Promise<Buffer[]> {
  const rows = await db.query<{ sealed: Buffer }>(
    `select sealed from webhook_secrets
     where project_id = $1 and endpoint_id = $2 and (expires_at is null or expires_at > now())
     order by created_at desc, id desc`,
    [projectId, endpointId],
  );
  return rows.map(({ sealed }) => sealed);
}

/** Points an endpoint elsewhere; what it is owed goes there too. */
export async function setEndpointUrl(
  db: Database,
  projectId: string,
  id: string,
  url: string,
): Promise<void> {
  await db.query("update webhook_endpoints set url = $3 where project_id = $1 and id = $2", [
    projectId,
    id,
    url,
  ]);
}
