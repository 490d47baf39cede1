import type { Database } from "./database.ts";

export type ApiKey = {
  project_id: string;
  id: string;
  name: string;
  prefix: string;
  scopes: string[];
  created_at: Date;
  revoked_at: Date | null;
};

const columns = "project_id, id, name, prefix, scopes, created_at, revoked_at";

/** Stores a key by its hash. An existing key is left alone, so that a bootstrap key can be given at every start. */
export async function insertApiKey(
  db: Database,
  key: Pick<ApiKey, "project_id" | "id" | "name" | "prefix" | "scopes"> & { sha256: Buffer },
): Promise<void> {
  await db.query(
    `insert into api_keys (project_id, id, name, prefix, sha256, scopes) values ($1, $2, $3, $4, $5, $6)
     on conflict (sha256) do nothing`,
    [key.project_id, key.id, key.name, key.prefix, key.sha256, key.scopes],
  );
}

/** Finds keys, in no order. The caller must check whether they are revoked. */
export async function findApiKeys(
  db: Database,
  sha256s: readonly Buffer[],
): Promise<(ApiKey & { sha256: Buffer })[]> {
  return db.query(`select ${columns}, sha256 from api_keys where sha256 = any($1::bytea[])`, [sha256s]);
}

export async function listApiKeys(db: Database): Promise<ApiKey[]> {
  return db.query<ApiKey>(`select ${columns} from api_keys order by created_at, id`);
}

/** @returns whether the key existed and was not revoked yet. */
export async function revokeApiKey(db: Database, prefixOrId: string): Promise<boolean> {
  const rows = await db.query(
    `update api_keys set revoked_at = now()
     where (prefix = $1 or id::text = lower($1)) and revoked_at is null returning id`,
    [prefixOrId],
  );
  return rows.length > 0;
}
