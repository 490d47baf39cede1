import { expect, test } from "vitest";
import { run } from "../support/command.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

test("migrate applies everything to new data, says so, and has nothing to do the next time", async () => {
  const fresh = await dataDirectory();
  try {
    const first = await run(["migrate"], { DATA_DIR: fresh.path });
    const second = await run(["migrate"], { DATA_DIR: fresh.path });

    expect(first).toMatchObject({ code: 0, stderr: "" });
    expect(first.stdout).toMatch(/^Applied: 0001_projects_keys_and_topics\.sql, 0002_journal\.sql, .+\n$/);
    expect(second).toEqual({ code: 0, stdout: "The schema is up to date.\n", stderr: "" });
  } finally {
    await fresh.remove();
  }
});
