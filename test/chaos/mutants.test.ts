import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { faults } from "../../chaos/faults/faults.ts";
import { buildMutant, mutants } from "../../chaos/mutants.ts";
import { freshBuild } from "../support/fresh-build.ts";

/*
 * `npm run chaos -- --mutant all` shows that each is reported; that takes some minutes. Here: each exists, and would run.
 */

freshBuild();

test.each(mutants)("$name: the build has exactly one place for it, and the copy runs", async (mutant) => {
  const build = await buildMutant(mutant);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [
      `${build.directory}/src/cli/main.js`,
      "--version",
    ]);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
    const edited = `${build.directory}/${mutant.edits[0]?.file}`;
    await promisify(execFile)(process.execPath, ["--check", edited]);
  } finally {
    await build.remove();
  }
});

test("a mutant that is older than the code says so", async () => {
  const edits = [{ file: "workers/sweep.js", from: "there is no such text", to: "" }];

  await expect(buildMutant({ name: "old", edits })).rejects.toThrow(
    'Mutant "old": workers/sweep.js has 0 places for its edit',
  );
});

test("the faults that mutants show under exist", () => {
  const names = faults.map(({ name }) => name);
  for (const mutant of mutants) expect(names).toEqual(expect.arrayContaining([...mutant.faults]));
});
