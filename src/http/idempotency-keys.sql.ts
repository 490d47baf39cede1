import type { Database } from "../storage/database.ts";

/** A request that is to be answered once. */
export type KeyedRequest = { project_id: string; key: string; request_sha256: Buffer };

export type StoredAnswer = { request_sha256: Buffer; status: number; answer: unknown };

const lifetime = "interval '24 hours'";

/**
 * Takes a key for a request. Waits for a transaction that has taken the same key and is not done; only when that fails
 * is the key free.
 * @returns false when the key has been taken within 24 hours.
 */
export async function takeKey(
  tx: Database,
  { project_id, key, request_sha256 }: KeyedRequest,
): Promise<boolean> {
  // Every request clears away a few, so that nobody has to come for them.
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

/** Writes down what the request was answered with. */
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

/** The answer that a key stands for, or null. */
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
