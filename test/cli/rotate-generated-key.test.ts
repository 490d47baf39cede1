import { chmod, lstat, readdir, readFile, rename, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { readEncryptionKeys, writeEncryptionKeys } from "../../src/data-dir.ts";
import { attachEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { migrationsDirectory } from "../../src/package-info.ts";
import { type Database, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { countSealed } from "../../src/tools/keys/sealed.sql.ts";
import { idOfEncryptionKey } from "../../src/webhooks/secret-box.ts";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";
import { addEncrypted, holdSecret, type KnownEndpoint, openedAll, rotate } from "./encrypted-endpoints.ts";

/*
 * The built program with the key that it generated, on an embedded database of its own.
 */

/** Servers start and stop many times here. */
vi.setConfig({ testTimeout: 120_000 });

let directory: { path: string; remove(): Promise<void> };
let file: string;
beforeEach(async () => {
  directory = await dataDirectory();
  file = join(directory.path, "encryption.key");
});
afterEach(async () => {
  const left = await findPostmaster(join(directory.path, "postgres/data"));
  if (left !== null) process.kill(left.pid, "SIGQUIT");
  await directory.remove();
});

const keysNow = () => readEncryptionKeys(directory.path);

/** Uses the database, which is started for it when it does not run. */
async function withDatabase<Result>(work: (db: Database) => Promise<Result>): Promise<Result> {
  const server = await attachEmbeddedPostgres({ dataDir: directory.path });
  const db = openDatabase(server.url, { maxConnections: 5, onIdleError: () => {} });
  try {
    await migrate(db, migrationsDirectory);
    return await work(db);
  } finally {
    await db.close();
    await server.stop();
  }
}

async function addSome(count: number): Promise<KnownEndpoint[]> {
  const keys = await keysNow();
  return withDatabase((db) => Promise.all(Array.from({ length: count }, () => addEncrypted(db, keys))));
}

/** Rotates, with every key that there is now being kept secret. */
async function rotated(...args: string[]) {
  const before = await readFile(file, "utf8");
  return rotate({ DATA_DIR: directory.path }, before.split("\n").filter(Boolean), ...args);
}

/** Leaves the database running without an owner. */
async function killService(): Promise<void> {
  const service = fanmail(["start"], { DATA_DIR: directory.path, PORT: "0" });
  await service.line(/listens on/);
  service.child.kill("SIGKILL");
  await service.ended;
}

test("a new key takes the place of the old one", async () => {
  const endpoints = await addSome(2);
  const [oldKey] = await keysNow();

  const tried = await rotated("--dry-run");
  const unchanged = await keysNow();
  const ended = await rotated();

  expect(tried).toEqual({
    code: 0,
    stdout: "Would be encrypted anew: 2 secrets, 2 sets of headers.\n",
    stderr: "",
  });
  expect(unchanged).toEqual([oldKey]);
  expect(ended).toEqual({
    code: 0,
    stdout: "Encrypted anew: 2 secrets, 2 sets of headers.\nThe old key is removed.\n",
    stderr: "",
  });
  const keys = await keysNow();
  expect(keys).toHaveLength(1);
  expect(keys).not.toEqual([oldKey]);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect((await readdir(directory.path)).filter((name) => name.startsWith("encryption"))).toEqual([
    "encryption.key",
  ]);
  expect(await withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("is refused while a service runs, which would not know the new key", async () => {
  const service = fanmail(["start"], { DATA_DIR: directory.path, PORT: "0" });
  await service.line(/listens on/);
  const before = await readFile(file, "utf8");

  const { code, stdout, stderr } = await rotated();
  const tried = await rotated("--dry-run");

  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(
    /^fanmail rotate-encryption-key: Stop the service first: .+ is in use by process \d+/,
  );
  expect(tried.code).toBe(0);
  expect(await readFile(file, "utf8")).toBe(before);
  expect((await terminate(service)).code).toBe(0);
});

test("kill -9 in the middle: the file opens everything, and the next run ends it", async () => {
  const endpoints = await addSome(3);
  const [oldKey] = await keysNow();
  const oldKeyId = idOfEncryptionKey(oldKey ?? Buffer.alloc(0));
  await killService();
  await withDatabase(async (db) => {
    const hold = await holdSecret(db, endpoints[0]?.id ?? "");
    const victim = fanmail(["rotate-encryption-key"], { DATA_DIR: directory.path });
    await until("the new key is in the file", async () => (await keysNow()).length === 2);
    await until("the rest is done", async () => {
      const left = (await countSealed(db)).filter(({ key_id }) => key_id.equals(oldKeyId));
      return left.length === 1 && left[0]?.count === 1;
    });
    victim.child.kill("SIGKILL");
    await victim.ended;
    await hold.release();

    const keys = await keysNow();
    expect(keys).toEqual([expect.anything(), oldKey]);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await openedAll(db, keys, endpoints)).toEqual(endpoints);
  });

  expect(await rotated()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nThe old key is removed\.\n$/),
  });

  const keys = await keysNow();
  expect(keys).toHaveLength(1);
  expect(await withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("the old key stays while another command may encrypt with it", async () => {
  const endpoints = await addSome(1);
  const [oldKey] = await keysNow();
  await killService();

  const busy = await withDatabase(async () => rotated());
  const kept = await keysNow();
  const alone = await rotated();

  expect(busy).toEqual({
    code: 1,
    stdout: "Encrypted anew: 1 secret, 1 set of headers.\n",
    stderr: expect.stringMatching(
      /^The old key stays, because another command uses the database\. Run this again when that has ended\.$/m,
    ),
  });
  expect(kept).toEqual([expect.anything(), oldKey]);
  expect(alone.code).toBe(0);
  const keys = await keysNow();
  expect(keys).toHaveLength(1);
  expect(await withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("a key stays as long as anything is encrypted with it that cannot be encrypted anew", async () => {
  const [endpoint] = await addSome(1);
  const [oldKey] = await keysNow();
  const damage = "update webhook_secrets set sealed = sealed || '\\x00'";
  await withDatabase((db) => db.query(damage));

  const { code, stdout, stderr } = await rotated();
  const kept = await keysNow();
  await withDatabase((db) => db.query("delete from webhook_endpoints"));
  const again = await rotated();

  expect({ code, stdout }).toEqual({ code: 1, stdout: "Encrypted anew: 0 secrets, 1 set of headers.\n" });
  expect(stderr).toContain(
    `Left as it is: secret of endpoint ${endpoint?.id}. It was encrypted for something else, or was changed since`,
  );
  expect(kept).toEqual([expect.anything(), oldKey]);
  expect(again.code).toBe(0);
  expect(await keysNow()).toHaveLength(1);
});

test("a file that holds anything but keys is named, and not quoted", async () => {
  await writeFile(file, "hunter2\n");

  const { code, stdout, stderr } = await rotated();

  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`${file} must hold 32 bytes in base64`);
  expect(await readFile(file, "utf8")).toBe("hunter2\n");
});

describe("the file", () => {
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const [firstText, secondText] = [first.toString("base64"), second.toString("base64")];

  test("is made with one key", async () => {
    const keys = await keysNow();

    expect(keys.map(({ length }) => length)).toEqual([32]);
    expect(await keysNow()).toEqual(keys);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test.each([
    [firstText, [first]],
    [`${firstText}\n`, [first]],
    [`${firstText}\n${secondText}`, [first, second]],
    [`\r\n ${secondText} \r\n\r\n${firstText}\r\n`, [second, first]],
  ])("holds a key in each line: %j", async (text, keys) => {
    await writeFile(file, text);

    expect(await keysNow()).toEqual(keys);
  });

  test.each(["", "\n", "hunter2", `${firstText}\nhunter2`, `${firstText} ${secondText}`])(
    "that is malformed is an error: %j",
    async (text) => {
      await writeFile(file, text);

      await expect(keysNow()).rejects.toThrow(`${file} must hold 32 bytes in base64, one key in a line`);
    },
  );

  test("is replaced as a whole, for its owner alone", async () => {
    await writeFile(file, firstText);
    await chmod(file, 0o644);

    await writeEncryptionKeys(directory.path, [second, first]);

    expect(await readFile(file, "utf8")).toBe(`${secondText}\n${firstText}\n`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory.path)).toEqual(["encryption.key"]);
  });

  test("stays a link where it is one", async () => {
    const target = join(directory.path, "kept-elsewhere");
    await writeFile(file, firstText);
    await rename(file, target);
    await symlink(target, file);

    await writeEncryptionKeys(directory.path, [second]);

    expect((await lstat(file)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, "utf8")).toBe(`${secondText}\n`);
  });

  test("is not made by replacing it", async () => {
    await expect(writeEncryptionKeys(directory.path, [first])).rejects.toThrow("ENOENT");
    expect(await readdir(directory.path)).toEqual([]);
  });
});
