import { readFile, stat } from "node:fs/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { countSealed } from "../../../src/tools/keys/sealed.sql.ts";
import { idOfEncryptionKey } from "../../../src/webhooks/secret-box.ts";
import { holdSecret, openedAll } from "../../cli/encrypted-endpoints.ts";
import { type KeyDirectory, keyDirectory } from "../../cli/generated-key.ts";
import { fanmail, terminate } from "../../support/fanmail-process.ts";
import { until } from "../../support/wait.ts";

/** Servers start and stop many times here. */
vi.setConfig({ testTimeout: 120_000 });

let directory: KeyDirectory;
beforeEach(async () => {
  directory = await keyDirectory();
});
afterEach(() => directory.remove());

/** Leaves the database running without an owner. */
async function killService(): Promise<void> {
  const service = fanmail(["start"], { DATA_DIR: directory.path, PORT: "0" });
  await service.line(/listens on/);
  service.child.kill("SIGKILL");
  await service.ended;
}

test("is refused while a service runs, which would not know the new key", async () => {
  const service = fanmail(["start"], { DATA_DIR: directory.path, PORT: "0" });
  await service.line(/listens on/);
  const before = await readFile(directory.file, "utf8");

  const { code, stdout, stderr } = await directory.rotated();
  const tried = await directory.rotated("--dry-run");

  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toMatch(
    /^fanmail rotate-encryption-key: Stop the service first: .+ is in use by process \d+/,
  );
  expect(tried.code).toBe(0);
  expect(await readFile(directory.file, "utf8")).toBe(before);
  expect((await terminate(service)).code).toBe(0);
});

test("kill -9 in the middle: the file opens everything, and the next run ends it", async () => {
  const endpoints = await directory.addSome(3);
  const [oldKey] = await directory.keysNow();
  const oldKeyId = idOfEncryptionKey(oldKey ?? Buffer.alloc(0));
  await killService();
  await directory.withDatabase(async (db) => {
    const hold = await holdSecret(db, endpoints[0]?.id ?? "");
    const victim = fanmail(["rotate-encryption-key"], { DATA_DIR: directory.path });
    await until("the new key is in the file", async () => (await directory.keysNow()).length === 2);
    await until("the rest is done", async () => {
      const left = (await countSealed(db)).filter(({ key_id }) => key_id.equals(oldKeyId));
      return left.length === 1 && left[0]?.count === 1;
    });
    victim.child.kill("SIGKILL");
    await victim.ended;
    await hold.release();

    const keys = await directory.keysNow();
    expect(keys).toEqual([expect.anything(), oldKey]);
    expect((await stat(directory.file)).mode & 0o777).toBe(0o600);
    expect(await openedAll(db, keys, endpoints)).toEqual(endpoints);
  });

  expect(await directory.rotated()).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/\nThe old key is removed\.\n$/),
  });

  const keys = await directory.keysNow();
  expect(keys).toHaveLength(1);
  expect(await directory.withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("the old key stays while another command may encrypt with it", async () => {
  const endpoints = await directory.addSome(1);
  const [oldKey] = await directory.keysNow();
  await killService();

  const busy = await directory.withDatabase(async () => directory.rotated());
  const kept = await directory.keysNow();
  const alone = await directory.rotated();

  expect(busy).toEqual({
    code: 1,
    stdout: "Re-encrypted: 1 secret, 1 set of headers.\n",
    stderr: expect.stringMatching(
      /^The old key stays, because another command uses the database\. Run this again when that has ended\.$/m,
    ),
  });
  expect(kept).toEqual([expect.anything(), oldKey]);
  expect(alone.code).toBe(0);
  const keys = await directory.keysNow();
  expect(keys).toHaveLength(1);
  expect(await directory.withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("a key stays as long as anything is encrypted with it that cannot be encrypted anew", async () => {
  const [endpoint] = await directory.addSome(1);
  const [oldKey] = await directory.keysNow();
  const damage = "update webhook_secrets set sealed = sealed || '\\x00'";
  await directory.withDatabase((db) => db.query(damage));

  const { code, stdout, stderr } = await directory.rotated();
  const kept = await directory.keysNow();
  await directory.withDatabase((db) => db.query("delete from webhook_endpoints"));
  const again = await directory.rotated();

  expect({ code, stdout }).toEqual({ code: 1, stdout: "Re-encrypted: 0 secrets, 1 set of headers.\n" });
  expect(stderr).toContain(
    `Left as it is: secret of endpoint ${endpoint?.id}. It was encrypted for something else, or was changed since`,
  );
  expect(kept).toEqual([expect.anything(), oldKey]);
  expect(again.code).toBe(0);
  expect(await directory.keysNow()).toHaveLength(1);
});
