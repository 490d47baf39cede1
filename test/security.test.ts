import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";

/*
 * docs/security.md names sources and tests that there are. Whether a test would fail without its protection, only trying shows.
 */

const root = new URL("../", import.meta.url).pathname;
const page = readFileSync(`${root}docs/security.md`, "utf8");
const rows = page
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| threat"))
  .map((line) => line.slice(2, -2).split(" | "));

/** A file of the repository, in code. */
const file =
  /`((?:src|workers|test|deploy|docs|scripts)\/[\w./-]+|Dockerfile|\.dockerignore|docker-compose\.yml|package\.json)`/g;

test("every file that docs/security.md names exists", () => {
  const named = [...page.matchAll(file)].map(([, path = ""]) => path);
  expect(new Set(named).size).toBeGreaterThan(80);
  expect(named.filter((path) => !existsSync(root + path))).toEqual([]);
});

test("every threat has a protection with its source, and a test", () => {
  expect(rows.length).toBeGreaterThan(60);
  for (const [threat, protection = "", tests = "", ...more] of rows) {
    expect([threat, more]).toEqual([threat, []]);
    expect([threat, /`test\/[\w/.-]+\.test\.ts`/.test(tests)]).toEqual([threat, true]);
    // Some are held by the order in which things are done, or by other rows.
    expect([threat, protection.length > 5]).toEqual([threat, true]);
  }
});

test("every title that docs/security.md names is one of its test file", () => {
  const titles = rows.flatMap(([, , tests = ""]) =>
    [...tests.matchAll(/`(test\/[\w/.-]+)`: ((?:"[^"]+"(?:, )?)+)/g)].flatMap(([, path = "", list = ""]) =>
      [...list.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => ({ path, title })),
    ),
  );
  expect(titles.length).toBeGreaterThan(70);
  const missing = titles.filter(
    ({ path, title }) => !readFileSync(root + path, "utf8").includes(`"${title}"`),
  );
  expect(missing).toEqual([]);
});
