import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Database } from "../../../src/storage/database.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import {
  countSealed,
  hasOtherSessions,
  resealAll,
  type Sealed,
  tryResealAll,
} from "../../../src/tools/keys/sealed.sql.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { until } from "../../support/wait.ts";

let database: TestDatabase;
let db: Database;

beforeAll(async () => {
  database = await testDatabase();
  db = database.db;
});
afterAll(() => database?.drop());
beforeEach(() => db.query("delete from webhook_endpoints"));

/** Stands for something encrypted: the key's id is in it where a real one has it. */
const sealedWith = (keyId: string, text: string) => Buffer.from(`1${keyId}${text}`);
const newId = Buffer.from("new_");
const toNew = ({ sealed }: Sealed) => ({ sealed: sealedWith("new_", sealed.toString().slice(5)) });

type Given = { secrets?: string[]; headers?: string | null; keyId?: string };

/** Stores an endpoint with its secrets and headers. */
async function addEndpoint({ secrets = ["secret"], headers = null, keyId = "old_" }: Given = {}) {
  const id = randomUUID();
  await db.query(
    `insert into webhook_endpoints (project_id, id, url, event_types, sealed_headers)
     values ($1, $2, 'https://example.com/', '{*}', $3)`,
    [defaultProjectId, id, headers === null ? null : sealedWith(keyId, headers)],
  );
  const secretIds = [];
  for (const secret of secrets) secretIds.push(await addSecret(id, sealedWith(keyId, secret)));
  return { id, secretIds };
}

async function addSecret(endpointId: string, sealed: Buffer): Promise<string> {
  const id = randomUUID();
  await db.query(
    "insert into webhook_secrets (project_id, endpoint_id, id, sealed) values ($1, $2, $3, $4)",
    [defaultProjectId, endpointId, id, sealed],
  );
  return id;
}

/** Everything that is encrypted, as text. */
async function stored(): Promise<string[]> {
  const rows = await db.query<{ sealed: Buffer }>(
    `select sealed from webhook_secrets union all
     select sealed_headers from webhook_endpoints where sealed_headers is not null`,
  );
  return rows.map(({ sealed }) => sealed.toString()).toSorted();
}

describe("resealAll", () => {
  test("replaces secrets and headers under other keys, and nothing else", async () => {
    await addEndpoint({ secrets: ["a", "b"], headers: "h" });
    await addEndpoint({ secrets: ["c"], keyId: "odd_" });
    await addEndpoint({ secrets: ["kept"], headers: "kept too", keyId: "new_" });
    const seen: string[] = [];

    const result = await resealAll(db, newId, (row) => {
      seen.push(row.sealed.toString());
      return toNew(row);
    });

    expect(result).toEqual({ counts: { secret: 3, headers: 1 }, refused: [] });
    expect(seen.toSorted()).toEqual(["1odd_c", "1old_a", "1old_b", "1old_h"]);
    expect(await stored()).toEqual(["1new_a", "1new_b", "1new_c", "1new_h", "1new_kept", "1new_kept too"]);
  });

  test("passes on the endpoint of each value, and leaves the rest of the endpoint alone", async () => {
    const { id, secretIds } = await addEndpoint({ headers: "h" });
    const endpoints = () => db.query("select to_jsonb(e) - 'sealed_headers' from webhook_endpoints e");
    const before = await endpoints();
    const seen: object[] = [];

    await resealAll(db, newId, ({ sealed, ...key }) => {
      seen.push(key);
      return toNew({ sealed, ...key });
    });

    const key = { project_id: defaultProjectId, endpoint_id: id };
    expect(seen).toEqual([
      { kind: "secret", ...key, id: secretIds[0] },
      { kind: "headers", ...key, id },
    ]);
    expect(await endpoints()).toEqual(before);
  });

  test("processes more rows than fit into a step, each once", async () => {
    await db.query(
      `with endpoint as (
         insert into webhook_endpoints (project_id, id, url, event_types, sealed_headers)
         select $1, gen_random_uuid(), 'https://example.com/', '{*}', convert_to('1old_h', 'UTF8')
         from generate_series(1, 1200) returning *)
       insert into webhook_secrets (project_id, endpoint_id, id, sealed)
       select project_id, id, gen_random_uuid(), convert_to('1old_s', 'UTF8') from endpoint`,
      [defaultProjectId],
    );
    let calls = 0;

    const { counts } = await resealAll(db, newId, (row) => {
      calls++;
      return toNew(row);
    });

    expect({ counts, calls }).toEqual({ counts: { secret: 1200, headers: 1200 }, calls: 2400 });
    expect(await countSealed(db)).toEqual([
      { kind: "secret", key_id: newId, count: 1200 },
      { kind: "headers", key_id: newId, count: 1200 },
    ]);
  });

  test("leaves and reports what is refused, and processes the rest", async () => {
    const { id, secretIds } = await addEndpoint({ secrets: ["bad", "good"], headers: "bad" });

    const { counts, refused } = await resealAll(db, newId, (row) =>
      row.sealed.includes("bad") ? { refused: "no key" } : toNew(row),
    );

    const key = { project_id: defaultProjectId, endpoint_id: id, reason: "no key" };
    expect(counts).toEqual({ secret: 1, headers: 0 });
    expect(refused).toEqual([
      { kind: "secret", ...key, id: secretIds[0] },
      { kind: "headers", ...key, id },
    ]);
    expect(await stored()).toEqual(["1new_good", "1old_bad", "1old_bad"]);
  });

  test("does not overwrite a value that changes between reading and writing, and processes the new value", async () => {
    const { id } = await addEndpoint({ headers: "before" });
    let isChanged = false;

    const { counts } = await resealAll(
      changing(async () => {
        if (isChanged) return;
        isChanged = true;
        await db.query("update webhook_secrets set sealed = $1", [sealedWith("old_", "rotated")]);
        await db.query("update webhook_endpoints set sealed_headers = $1", [sealedWith("new_", "patched")]);
        await addSecret(id, sealedWith("old_", "added"));
      }),
      newId,
      toNew,
    );

    expect(counts).toEqual({ secret: 2, headers: 0 });
    expect(await stored()).toEqual(["1new_added", "1new_patched", "1new_rotated"]);
  });

  test("skips rows that another transaction has locked, and comes back to them", async () => {
    const { secretIds } = await addEndpoint({ secrets: ["held", "free"], headers: "h" });
    let release = () => {};
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    const holder = db.transaction(async (tx) => {
      await tx.query("update webhook_secrets set sealed = $2 where id = $1", [
        secretIds[0],
        sealedWith("old_", "changed"),
      ]);
      await isReleased;
    });
    await until("the row is held", async () => {
      const free = await db.query("select from webhook_secrets for update skip locked");
      return free.length === 1;
    });

    const resealing = resealAll(db, newId, toNew);
    await until("the rest is done", async () => (await stored()).join() === "1new_free,1new_h,1old_held");
    release();

    await holder;
    expect(await resealing).toMatchObject({ counts: { secret: 2, headers: 1 }, refused: [] });
    expect(await stored()).toEqual(["1new_changed", "1new_free", "1new_h"]);
  });

  test("does not wait for transactions that refer to the endpoint", async () => {
    const { id } = await addEndpoint({ secrets: [], headers: "h" });

    await db.transaction(async (tx) => {
      await tx.query("select from webhook_endpoints where id = $1 for key share", [id]);
      expect(await resealAll(db, newId, toNew)).toMatchObject({ counts: { secret: 0, headers: 1 } });
    });
  });

  test("two at the same time process everything, each row once", async () => {
    for (let index = 0; index < 20; index++) await addEndpoint({ secrets: ["a", "b"], headers: "h" });

    const results = await Promise.all([resealAll(db, newId, toNew), resealAll(db, newId, toNew)]);

    const sum = (kind: "secret" | "headers") =>
      results.reduce((total, { counts }) => total + counts[kind], 0);
    expect([sum("secret"), sum("headers")]).toEqual([40, 20]);
    expect(new Set(await stored())).toEqual(new Set(["1new_a", "1new_b", "1new_h"]));
  });

  test("has nothing to do the second time", async () => {
    await addEndpoint({ headers: "h" });
    await resealAll(db, newId, toNew);

    expect(await resealAll(db, newId, () => ({ refused: "not to be asked" }))).toEqual({
      counts: { secret: 0, headers: 0 },
      refused: [],
    });
  });
});

/** The database, with something that happens before every write. */
function changing(before: () => Promise<void>): Database {
  return {
    ...db,
    async query(sql, params) {
      if (sql.includes("update")) await before();
      return db.query(sql, params);
    },
  };
}

test("tryResealAll counts and changes nothing", async () => {
  await addEndpoint({ secrets: ["a", "bad"], headers: "h" });
  const before = await stored();

  const result = await tryResealAll(db, newId, (row) =>
    row.sealed.includes("bad") ? { refused: "no key" } : toNew(row),
  );

  expect(result).toMatchObject({ counts: { secret: 1, headers: 1 }, refused: [{ reason: "no key" }] });
  expect(await stored()).toEqual(before);
});

test("countSealed counts per kind and key, malformed ones too", async () => {
  await addEndpoint({ secrets: ["a", "b"], headers: "h" });
  const { id } = await addEndpoint({ secrets: ["c"], keyId: "new_" });
  await addSecret(id, Buffer.from("x"));

  const counts = (await countSealed(db)).map(({ kind, key_id, count }) => `${kind} ${key_id} ${count}`);

  expect(counts.toSorted()).toEqual(["headers old_ 1", "secret  1", "secret new_ 1", "secret old_ 2"]);
});

test("hasOtherSessions sees every connection but its own", async () => {
  const other = await testDatabase();
  try {
    expect(await hasOtherSessions(other.db)).toBe(false);
    await other.db.transaction(async () => expect(await hasOtherSessions(other.db)).toBe(true));
  } finally {
    await other.drop();
  }
});
