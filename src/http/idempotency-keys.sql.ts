import type { Database } from "../storage/database.ts";

/** A request with an Idempotency-Key. */
export type KeyedRequest = { project_id: string; key: string; request_sha256: Buffer };

export type StoredAnswer = { request_sha256: Buffer; status: number; answer: unknown };

const lifetime = "interval '24 hours'";

/**
 * Takes a key for a request. If an open transaction has taken the same key, waits for it; the key is free only if that
 * transaction fails.
 * @returns false if the key was taken within 24 hours.
 */
export async function takeKey(
  tx: Database,
  { project_id, key, request_sha256 }: KeyedRequest,
): Promise<boolean> {
  // Every request deletes a few expired keys, so no other job has to.
  await tx.query(
    `delete from idempotency_keys where (project_id, key) in (
       select project_id, key from idempotency_keys where created_at < now() - ${lifetime}
       order by created_at limit 20 for update skip locked)`,
  );
  await tx.query(
    `delete from idempotency_keys where project_id = $1 and key = $2 and created_at < now() - ${lifetime}`,
    [project_id, key],
  );
  const taken = await tx.query(
    `insert into idempotency_keys (project_id, key, request_sha256, status, answer)
     values ($1, $2, $3, 0, 'null') on conflict (project_id, key) do nothing returning key`,
    [project_id, key, request_sha256],
  );
  return taken.length > 0;
}

/** Stores the response of a request. */
export async function keepAnswer(
  tx: Database,
  { project_id, key }: KeyedRequest,
  status: number,
  answer: unknown,
): Promise<void> {
  await tx.query("update idempotency_keys set status = $3, answer = $4 where project_id = $1 and key = $2", [
    project_id,
    key,
    status,
    JSON.stringify(answer),
  ]);
}

export async function findAnswer(
  db: Database,
  { project_id, key }: KeyedRequest,
): Promise<StoredAnswer | null> {
  const [found] = await db.query<StoredAnswer>(
    "select request_sha256, status, answer from idempotency_keys where project_id = $1 and key = $2",
    [project_id, key],
  );
  return found ?? null;
}
