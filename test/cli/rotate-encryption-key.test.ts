import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Database } from "../../src/storage/database.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { rotateToGivenKey } from "../../src/tools/keys/rotation.ts";
import { countSealed } from "../../src/tools/keys/sealed.sql.ts";
import { renewSecret } from "../../src/webhooks/endpoints.ts";
import { createSecretBox, idOfEncryptionKey } from "../../src/webhooks/secret-box.ts";
import { type Ended, run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { fanmail, runProcess } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";
import { addEncrypted, holdSecret, opened, openedAll, rotate } from "./encrypted-endpoints.ts";

/*
 * The built program with ENCRYPTION_KEY, on a database that a service shares.
 */

const oldKey = randomBytes(32);
const newKey = randomBytes(32);
const strangeKey = randomBytes(32);
const keyTexts = [oldKey, newKey, strangeKey].map((key) => key.toString("base64"));

let database: TestDatabase;
let db: Database;
beforeEach(async () => {
  database = await testDatabase();
  db = database.db;
});
afterEach(() => database.drop());

function environment(previous: readonly Buffer[] = [oldKey]): Record<string, string> {
  return {
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: newKey.toString("base64"),
    ENCRYPTION_KEY_PREVIOUS: previous.map((key) => key.toString("base64")).join(","),
  };
}

const rotated = (...args: string[]) => rotate(environment(), keyTexts, ...args);

/** How many secrets and header sets are encrypted with a key. */
async function countWith(key: Buffer): Promise<number> {
  const counts = (await countSealed(db)).filter(({ key_id }) => key_id.equals(idOfEncryptionKey(key)));
  return counts.reduce((sum, { count }) => sum + count, 0);
}

test("everything is encrypted anew, and the old key can go", async () => {
  const endpoints = [await addEncrypted(db, [oldKey]), await addEncrypted(db, [oldKey])];

  const first = await rotated();
  const second = await rotated();

  const conclusion =
    "When every process runs with this ENCRYPTION_KEY, take the old key out of ENCRYPTION_KEY_PREVIOUS.\n";
  expect(first).toEqual({
    code: 0,
    stdout: `Re-encrypted: 2 secrets, 2 sets of headers.\n${conclusion}`,
    stderr: "",
  });
  expect(second).toEqual({
    code: 0,
    stdout: `Re-encrypted: 0 secrets, 0 sets of headers.\n${conclusion}`,
    stderr: "",
  });
  expect(await openedAll(db, [newKey], endpoints)).toEqual(endpoints);
});

test("--dry-run tells how much there is, and changes nothing", async () => {
  const endpoint = await addEncrypted(db, [oldKey]);

  const { code, stdout, stderr } = await rotated("--dry-run");

  expect({ code, stdout, stderr }).toEqual({
    code: 0,
    stdout: "Would be re-encrypted: 1 secret, 1 set of headers.\n",
    stderr: "",
  });
  expect(await opened(db, [oldKey], endpoint.id)).toEqual(endpoint);
});

test("secrets are used and changed meanwhile, by processes of both keys", async () => {
  const endpoints = await Promise.all(Array.from({ length: 60 }, () => addEncrypted(db, [oldKey])));
  const changing = { db, clock: systemClock, secretBox: createSecretBox([oldKey, newKey]) };
  let ended: Ended | undefined;
  const rotation = runProcess(["rotate-encryption-key"], environment()).then((result) => {
    ended = result;
  });

  let uses = 0;
  while (ended === undefined) {
    const endpoint = endpoints[uses % endpoints.length];
    if (endpoint === undefined) throw new Error("There are endpoints");
    const key = { project_id: defaultProjectId, id: endpoint.id };
    // Secrets of the first half are rotated by a process that still encrypts with the old key.
    if (uses % 4 === 0 && uses % endpoints.length < 30) {
      endpoint.secret = await renewSecret(changing, key, 0);
    }
    const keys = uses % 2 === 0 ? [newKey, oldKey] : [oldKey, newKey];
    expect(await opened(db, keys, endpoint.id)).toEqual(endpoint);
    uses++;
  }
  await rotation;

  expect(uses).toBeGreaterThan(10);
  expect(await rotated()).toMatchObject({ code: 0, stderr: "" });
  expect(await openedAll(db, [newKey], endpoints)).toEqual(endpoints);
});

test("kill -9 in the middle: both keys open everything, and the next run does the rest", async () => {
  const endpoints = await Promise.all(Array.from({ length: 5 }, () => addEncrypted(db, [oldKey])));
  const { id } = await addEncrypted(db, [oldKey]);
  const hold = await holdSecret(db, id);
  const victim = fanmail(["rotate-encryption-key"], environment());
  await until("the rest is done", async () => (await countWith(newKey)) === 11);

  victim.child.kill("SIGKILL");
  await victim.ended;
  await hold.release();

  expect(await openedAll(db, [newKey, oldKey], endpoints)).toEqual(endpoints);
  expect(await countWith(oldKey)).toBe(1);
  expect((await rotated()).stdout).toContain("Re-encrypted: 1 secret, 0 sets of headers.\n");
  expect(await openedAll(db, [newKey], endpoints)).toEqual(endpoints);
  expect(await countWith(oldKey)).toBe(0);
});

test("what no key opens is named and left, and the rest is done", async () => {
  const endpoint = await addEncrypted(db, [oldKey]);
  const strange = await addEncrypted(db, [strangeKey]);

  const tried = await rotated("--dry-run");
  const { code, stdout, stderr } = await rotated();

  expect({ code, stdout }).toEqual({
    code: 1,
    stdout: "Re-encrypted: 1 secret, 1 set of headers.\n",
  });
  const reason =
    "It was encrypted with a key that is neither ENCRYPTION_KEY nor among ENCRYPTION_KEY_PREVIOUS (without these: that is not in encryption.key of DATA_DIR).";
  const named = [
    `Left as it is: secret of endpoint ${strange.id}. ${reason}`,
    `Left as it is: headers of endpoint ${strange.id}. ${reason}`,
    "",
  ];
  expect(stderr.split("\n")).toEqual([
    ...named.slice(0, 2),
    "Add the missing key to ENCRYPTION_KEY_PREVIOUS, or set these secrets and headers again; then run this again.",
    "",
  ]);
  expect(tried).toMatchObject({ code: 1, stderr: named.join("\n") });
  expect(await opened(db, [newKey], endpoint.id)).toEqual(endpoint);
  expect(await opened(db, [strangeKey], strange.id)).toEqual(strange);

  const again = await rotate(environment([oldKey, strangeKey]), keyTexts);

  expect(again).toMatchObject({ code: 0, stderr: "" });
  expect(await opened(db, [newKey], strange.id)).toEqual(strange);
});

test("--json tells the same to programs", async () => {
  await addEncrypted(db, [oldKey]);
  const strange = await addEncrypted(db, [strangeKey]);

  const { code, stdout, stderr } = await rotated("--json");

  const left = {
    project_id: defaultProjectId,
    endpoint_id: strange.id,
    reason: expect.stringContaining("neither ENCRYPTION_KEY nor"),
  };
  expect({ code, stderr }).toEqual({ code: 1, stderr: "" });
  expect(JSON.parse(stdout)).toEqual({
    outcome: "refused",
    dry_run: false,
    secrets: 1,
    header_sets: 1,
    refused: [
      { kind: "secret", ...left },
      { kind: "headers", ...left },
    ],
  });
});

test("what a process encrypts with the old key after the last look is not overlooked", async () => {
  const late: Database = {
    ...db,
    async query(sql, params) {
      if (sql.includes("count(*)")) await addEncrypted(db, [oldKey]);
      return db.query(sql, params);
    },
  };

  const store = { db: late, secretBox: createSecretBox([newKey, oldKey]) };

  expect(await rotateToGivenKey(store)).toMatchObject({ outcome: "busy", refused: [] });
  expect(await rotateToGivenKey({ ...store, db })).toMatchObject({ outcome: "complete" });
});

test("takes no arguments, and tells the whole procedure", async () => {
  expect(await run(["rotate-encryption-key", "now"], environment())).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "fanmail rotate-encryption-key: Unknown argument: now\nSee: npx fanmail rotate-encryption-key --help\n",
  });
  const { code, stdout } = await run(["rotate-encryption-key", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^fanmail rotate-encryption-key: \S.+\n\n\S/);
  expect(stdout).toMatch(/1\. .+ENCRYPTION_KEY_PREVIOUS.+2\. .+3\. .+4\. .+ENCRYPTION_KEY_PREVIOUS/s);
});
