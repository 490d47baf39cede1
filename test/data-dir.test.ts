import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readOrMake } from "../src/data-dir.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-data-dir-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("readOrMake", () => {
  test("makes the file once, for its owner alone, and the directory with it", async () => {
    const dataDir = join(directory, "a", "b");

    const made = await readOrMake(dataDir, "key", () => "first");
    const again = await readOrMake(dataDir, "key", () => "second");

    expect([made, again]).toEqual(["first", "first"]);
    expect(await readFile(join(dataDir, "key"), "utf8")).toBe("first");
    expect((await stat(join(dataDir, "key"))).mode & 0o777).toBe(0o600);
    expect(await readdir(dataDir)).toEqual(["key"]);
  });

  test("gives all that make it at once the same", async () => {
    const makers = Array.from({ length: 50 }, (_, index) =>
      readOrMake(directory, "key", async () => `maker ${index}`),
    );

    const got = await Promise.all(makers);

    expect(new Set(got)).toEqual(new Set([await readFile(join(directory, "key"), "utf8")]));
    expect(await readdir(directory)).toEqual(["key"]);
  });

  test("does not make what is there, nor touch it", async () => {
    await writeFile(join(directory, "key"), "mine\n");
    await chmod(join(directory, "key"), 0o640);

    const got = await readOrMake(directory, "key", () => {
      throw new Error("made");
    });

    expect(got).toBe("mine\n");
    expect((await stat(join(directory, "key"))).mode & 0o777).toBe(0o640);
  });

  test("leaves nothing behind when making fails, and makes it the next time", async () => {
    const failing = readOrMake(directory, "key", () => Promise.reject(new Error("no chance")));

    await expect(failing).rejects.toThrow("no chance");
    expect(await readdir(directory)).toEqual([]);
    expect(await readOrMake(directory, "key", () => "later")).toBe("later");
  });

  test("says so when it cannot read what is there", async () => {
    await mkdir(join(directory, "key"));

    await expect(readOrMake(directory, "key", () => "new")).rejects.toThrow("EISDIR");
  });
});
