import { chmod, lstat, readdir, readFile, rename, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { writeEncryptionKeys } from "../../src/data-dir.ts";
import { openedAll } from "./encrypted-endpoints.ts";
import { type KeyDirectory, keyDirectory } from "./generated-key.ts";

/** Servers start and stop here. */
vi.setConfig({ testTimeout: 120_000 });

let directory: KeyDirectory;
beforeEach(async () => {
  directory = await keyDirectory();
});
afterEach(() => directory.remove());

test("a new key takes the place of the old one", async () => {
  const endpoints = await directory.addSome(2);
  const [oldKey] = await directory.keysNow();

  const tried = await directory.rotated("--dry-run");
  const unchanged = await directory.keysNow();
  const ended = await directory.rotated();

  expect(tried).toEqual({
    code: 0,
    stdout: "Would be re-encrypted: 2 secrets, 2 sets of headers.\n",
    stderr: "",
  });
  expect(unchanged).toEqual([oldKey]);
  expect(ended).toEqual({
    code: 0,
    stdout: "Re-encrypted: 2 secrets, 2 sets of headers.\nThe old key is removed.\n",
    stderr: "",
  });
  const keys = await directory.keysNow();
  expect(keys).toHaveLength(1);
  expect(keys).not.toEqual([oldKey]);
  expect((await stat(directory.file)).mode & 0o777).toBe(0o600);
  expect((await readdir(directory.path)).filter((name) => name.startsWith("encryption"))).toEqual([
    "encryption.key",
  ]);
  expect(await directory.withDatabase((db) => openedAll(db, keys, endpoints))).toEqual(endpoints);
});

test("a file that holds anything but keys is named, and not quoted", async () => {
  await writeFile(directory.file, "hunter2\n");

  const { code, stdout, stderr } = await directory.rotated();

  expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
  expect(stderr).toContain(`${directory.file} must hold 32 bytes in base64`);
  expect(await readFile(directory.file, "utf8")).toBe("hunter2\n");
});

describe("the file", () => {
  const [first, second] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const [firstText, secondText] = [first.toString("base64"), second.toString("base64")];

  test("is made with one key", async () => {
    const keys = await directory.keysNow();

    expect(keys.map(({ length }) => length)).toEqual([32]);
    expect(await directory.keysNow()).toEqual(keys);
    expect((await stat(directory.file)).mode & 0o777).toBe(0o600);
  });

  test.each([
    [firstText, [first]],
    [`${firstText}\n`, [first]],
    [`${firstText}\n${secondText}`, [first, second]],
    [`\r\n ${secondText} \r\n\r\n${firstText}\r\n`, [second, first]],
  ])("holds a key in each line: %j", async (text, keys) => {
    await writeFile(directory.file, text);

    expect(await directory.keysNow()).toEqual(keys);
  });

  test.each(["", "\n", "hunter2", `${firstText}\nhunter2`, `${firstText} ${secondText}`])(
    "that is malformed is an error: %j",
    async (text) => {
      await writeFile(directory.file, text);

      await expect(directory.keysNow()).rejects.toThrow(
        `${directory.file} must hold 32 bytes in base64, one key in a line`,
      );
    },
  );

  test("is replaced as a whole, for its owner alone", async () => {
    await writeFile(directory.file, firstText);
    await chmod(directory.file, 0o644);

    await writeEncryptionKeys(directory.path, [second, first]);

    expect(await readFile(directory.file, "utf8")).toBe(`${secondText}\n${firstText}\n`);
    expect((await stat(directory.file)).mode & 0o777).toBe(0o600);
    expect(await readdir(directory.path)).toEqual(["encryption.key"]);
  });

  test("stays a link where it is one", async () => {
    const target = join(directory.path, "kept-elsewhere");
    await writeFile(directory.file, firstText);
    await rename(directory.file, target);
    await symlink(target, directory.file);

    await writeEncryptionKeys(directory.path, [second]);

    expect((await lstat(directory.file)).isSymbolicLink()).toBe(true);
    expect(await readFile(target, "utf8")).toBe(`${secondText}\n`);
  });

  test("is not made by replacing it", async () => {
    await expect(writeEncryptionKeys(directory.path, [first])).rejects.toThrow("ENOENT");
    expect(await readdir(directory.path)).toEqual([]);
  });
});
