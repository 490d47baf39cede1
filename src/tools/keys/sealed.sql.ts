import { setTimeout as sleep } from "node:timers/promises";
import type { Database } from "../../storage/database.ts";

/** The encrypted values of an endpoint. */
type SealedKind = "secret" | "headers";

/** `id`: the secret's id; for headers, the endpoint's id again. */
type SealedKey = { kind: SealedKind; project_id: string; endpoint_id: string; id: string };
export type Sealed = SealedKey & { sealed: Buffer };

/** The re-encrypted value, or why it cannot be. */
export type Resealed = { sealed: Buffer } | { refused: string };

export type Resealing = {
  /** How many were re-encrypted. */
  counts: Record<SealedKind, number>;
  /** What was left unchanged. */
  refused: (SealedKey & { reason: string })[];
};

/** Where the values are stored. Their bytes 2 to 5 are the key id. */
const places = {
  secret: { table: "webhook_secrets", endpointId: "endpoint_id", sealed: "sealed" },
  headers: { table: "webhook_endpoints", endpointId: "id", sealed: "sealed_headers" },
} as const;
const kinds: readonly SealedKind[] = ["secret", "headers"];
const rowsPerStep = 500;
const pauseMs = 100;
const nilId = "00000000-0000-0000-0000-000000000000";

/**
 * Re-encrypts whatever is encrypted with another key, until nothing more can be. Values that others change meanwhile are
 * not overwritten.
 * @param keyId the id of the key that `reseal` encrypts with.
 */
export async function resealAll(
  db: Database,
  keyId: Buffer,
  reseal: (row: Sealed) => Resealed,
): Promise<Resealing> {
  const total = { secret: 0, headers: 0 };
  for (;;) {
    const pass = await passOver(db, keyId, reseal, replace);
    for (const kind of kinds) total[kind] += pass.counts[kind];
    if (pass.offered === 0) return { counts: total, refused: pass.refused };
    // What remains is locked by others.
    if (pass.counts.secret + pass.counts.headers === 0) await sleep(pauseMs);
  }
}

/** Like `resealAll`, but changes nothing. */
export function tryResealAll(
  db: Database,
  keyId: Buffer,
  reseal: (row: Sealed) => Resealed,
): Promise<Resealing> {
  return passOver(db, keyId, reseal, async (_db, _kind, rows) => rows.length);
}

type Replacement = Sealed & { resealed: Buffer };

async function passOver(
  db: Database,
  keyId: Buffer,
  reseal: (row: Sealed) => Resealed,
  take: typeof replace,
): Promise<Resealing & { offered: number }> {
  const pass = { counts: { secret: 0, headers: 0 }, refused: [] as Resealing["refused"], offered: 0 };
  for (const kind of kinds) {
    for await (const rows of underOtherKeys(db, kind, keyId)) {
      const replacements: Replacement[] = [];
      for (const row of rows) {
        const { sealed: _, ...key } = row;
        const result = reseal(row);
        if ("sealed" in result) replacements.push({ ...row, resealed: result.sealed });
        else pass.refused.push({ ...key, reason: result.refused });
      }
      pass.offered += replacements.length;
      pass.counts[kind] += await take(db, kind, replacements);
    }
  }
  return pass;
}

async function* underOtherKeys(db: Database, kind: SealedKind, keyId: Buffer): AsyncGenerator<Sealed[]> {
  const { table, endpointId, sealed } = places[kind];
  let after = [nilId, nilId, nilId];
  for (;;) {
    const rows = await db.query<Omit<Sealed, "kind">>(
      `select project_id, ${endpointId} as endpoint_id, id, ${sealed} as sealed from ${table}
       where substring(${sealed} from 2 for 4) <> $1::bytea
         and (project_id, ${endpointId}, id) > ($2::uuid, $3::uuid, $4::uuid)
       order by project_id, ${endpointId}, id limit ${rowsPerStep}`,
      [keyId, ...after],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    after = [last.project_id, last.endpoint_id, last.id];
    yield rows.map((row) => ({ kind, ...row }));
  }
}

/** Skips rows that were changed since, and rows that others have locked: waiting for them could deadlock. */
async function replace(db: Database, kind: SealedKind, rows: Replacement[]): Promise<number> {
  const { table, endpointId, sealed } = places[kind];
  const columns = ["project_id", "endpoint_id", "id", "sealed", "resealed"] as const;
  const replaced = await db.query(
    `with ours as (
       select given.project_id, given.endpoint_id, given.id, given.resealed
       from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[])
         as given (project_id, endpoint_id, id, sealed, resealed)
       join ${table} stored
         on (stored.project_id, stored.${endpointId}, stored.id) = (given.project_id, given.endpoint_id, given.id)
         and stored.${sealed} = given.sealed
       for no key update of stored skip locked
     )
     update ${table} stored set ${sealed} = ours.resealed from ours
     where (stored.project_id, stored.${endpointId}, stored.id) = (ours.project_id, ours.endpoint_id, ours.id)
     returning stored.id`,
    columns.map((column) => rows.map((row) => row[column])),
  );
  return replaced.length;
}

/** How many values of each kind are encrypted with which key. */
export async function countSealed(
  db: Database,
): Promise<{ kind: SealedKind; key_id: Buffer; count: number }[]> {
  const each = kinds.map((kind) => {
    const { table, sealed } = places[kind];
    return `select '${kind}' as kind, substring(${sealed} from 2 for 4) as key_id, count(*)::integer as count
            from ${table} where ${sealed} is not null group by 2`;
  });
  return db.query(each.join(" union all "));
}

/** True if there are other client connections to this database. */
export async function hasOtherSessions(db: Database): Promise<boolean> {
  const others = await db.query(
    `select from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() limit 1`,
  );
  return others.length > 0;
}
