import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readConfig } from "../../src/config.ts";
import { openStore } from "../../src/context.ts";
import { run } from "../support/command.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

/* The command on the data of the demonstration: a week of late, repeated and shuffled notifications. */

let directory: { path: string; remove(): Promise<void> };
const environment = () => ({ DATA_DIR: `${directory.path}/demo` });
const rebuild = (...args: string[]) => run(["rebuild", "--rate", "0", ...args], environment());

beforeAll(async () => {
  directory = await dataDirectory();
  const { code, stderr } = await run(["demo", "--exit"], { DATA_DIR: directory.path, PORT: "0" });
  expect(code, stderr).toBe(0);
}, 180_000);
afterAll(() => directory?.remove());

async function damage(): Promise<string> {
  const config = readConfig({ ...environment(), LOG_LEVEL: "silent" });
  const store = await openStore(config, { attach: true });
  try {
    const [row] = await store.db.query<{ id: string }>(
      `update activity set current_status = 'queued'
       where id = (select id from activity where current_status = 'delivered' order by id limit 1) returning id`,
    );
    return row?.id ?? "";
  } finally {
    await store.close();
  }
}

const unchanged = /^701 notifications read, 20\d activities compared; nothing would change\.\n$/;

describe("fanmail rebuild", () => {
  test("reports no change after a run, just the row that was damaged after that, and mends it", async () => {
    expect(await rebuild("--dry-run")).toEqual({
      code: 0,
      stdout: expect.stringMatching(unchanged),
      stderr: "",
    });

    const id = await damage();
    const reported = await rebuild("--dry-run");
    const lines = reported.stdout.split("\n");
    expect(lines[0]).toContain(id);
    expect(lines.slice(1)).toEqual([
      "  current_status: queued → delivered",
      expect.stringMatching(/^701 notifications read, 20\d activities compared; 1 would change\.$/),
      "",
    ]);

    const [line, summary] = (await rebuild("--dry-run", "--json")).stdout
      .trim()
      .split("\n")
      .map((text) => JSON.parse(text));
    expect(line).toMatchObject({
      id,
      differences: [{ field: "current_status", stored: "queued", rebuilt: "delivered" }],
    });
    expect(summary).toMatchObject({ finished: true, dry_run: true, change_count: 1 });

    expect((await rebuild()).stdout).toMatch(/; 1 changed\.\n$/);
    expect((await rebuild("--dry-run")).stdout).toMatch(unchanged);
  });

  test.each([
    [
      ["--since", "yesterday"],
      '--since must be a day or a time in UTC such as 2026-11-21 or 2026-11-21T12:00Z, not "yesterday"',
    ],
    [["--since", "2026-13-01"], "--since must be"],
    [["--since", "2026-02-30"], "--since must be"],
    [["--rate", "fast"], '--rate must be a whole number, not "fast"'],
    [["--project", "nobody"], 'There is no project "nobody"'],
    [["everything"], "Unknown argument: everything"],
    [["--all"], "Unknown option"],
  ])("%s is refused", async (args, message) => {
    const { code, stdout, stderr } = await run(["rebuild", ...args], environment());

    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });
});
