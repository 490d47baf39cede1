import type { Database } from "./database.ts";

type EndpointKey = { project_id: string; id: string };

/** The encrypted secrets that sign for an endpoint now, the newest first. */
export async function activeSecrets(db: Database, { project_id, id }: EndpointKey): Promise<Buffer[]> {
  const rows = await db.query<{ sealed: Buffer }>(
    `select sealed from webhook_secrets
     where project_id = $1 and endpoint_id = $2 and (expires_at is null or expires_at > now())
     order by created_at desc, id desc`,
    [project_id, id],
  );
  return rows.map(({ sealed }) => sealed);
}

/**
 * Adds a secret; those before it sign beside it for the time of the overlap, or for what is left of an earlier one.
 * Secrets that have expired go.
 */
export async function rotateSecret(
  tx: Database,
  { project_id, id }: EndpointKey,
  secret: { id: string; sealed: Buffer },
  overlapSeconds: number,
): Promise<void> {
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
