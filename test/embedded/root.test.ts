import { mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { locate } from "../../src/embedded/directory.ts";
import { query, Sandbox } from "./sandbox.ts";

describe.skipIf(process.getuid?.() !== 0)("as root", () => {
  let sandbox: Sandbox;
  let far: string | undefined;
  beforeEach(() => {
    sandbox = new Sandbox();
  });
  afterEach(async () => {
    await sandbox.close();
    if (far !== undefined) await rm(far, { recursive: true, force: true });
    far = undefined;
  });

  test("a data directory that PostgreSQL's user cannot enter has its database elsewhere, for good", async () => {
    const closed = await sandbox.directory(0o700);
    const dataDir = path.join(closed, "data");
    far = (await locate(dataDir, () => {})).home;
    const first = await sandbox.start(dataDir);
    await query(first.url, "create table letters as select 'dear' as text");
    await first.stop();

    const second = await sandbox.start(dataDir);
    expect(await query(second.url, "select text from letters")).toEqual([{ text: "dear" }]);
    await second.stop();
    expect(far).not.toContain(dataDir);
    expect(sandbox.lines).toHaveLength(2);
    expect(new Set(sandbox.lines)).toEqual(
      new Set([
        `PostgreSQL cannot run as root and its user cannot enter ${dataDir}: the database is in ${far}`,
      ]),
    );
    expect(await readdir(dataDir)).toEqual([]);
    expect((await stat(closed)).mode & 0o777).toBe(0o700);
  });

  test("the database belongs to PostgreSQL's user, the password to root", async () => {
    const dataDir = path.join(await sandbox.directory(), "deep/down");
    await mkdir(path.dirname(dataDir));
    await sandbox.start(dataDir);
    expect((await stat(path.join(dataDir, "postgres/data"))).uid).toBe(65534);
    expect((await stat(path.join(dataDir, "postgres/password"))).uid).toBe(0);
    expect((await stat(dataDir)).uid).toBe(0);
  });
});
