import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import {
  defaultProjectId,
  findProject,
  insertProject,
  projectRules,
  setProjectRules,
} from "../../src/storage/projects.ts";
import type { TestDatabase } from "../support/database.ts";
import { projectTest } from "../support/project-test.ts";

const test = projectTest().extend("shopId", async ({ database }) => {
  const id = randomUUID();
  await insertProject(database.db, id, `shop ${id}`);
  return id;
});

async function rulesOf({ db }: TestDatabase, id: string) {
  const project = await findProject(db, id);
  return project && { window: project.open_window_seconds, filter: project.machine_filter };
}

describe("setProjectRules", () => {
  test("a new project sets no window, and tells machines from people", async ({ database, shopId }) => {
    expect(await rulesOf(database, shopId)).toEqual({ window: null, filter: true });
  });

  test("changes what is given, and leaves the rest", async ({ database, shopId }) => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60 });
    expect(await rulesOf(database, shopId)).toEqual({ window: 60, filter: true });

    await setProjectRules(database.db, shopId, { machineFilter: false });
    expect(await rulesOf(database, shopId)).toEqual({ window: 60, filter: false });

    await setProjectRules(database.db, shopId, {});
    expect(await rulesOf(database, shopId)).toEqual({ window: 60, filter: false });

    await setProjectRules(database.db, shopId, { openWindowSeconds: 0, machineFilter: true });
    expect(await rulesOf(database, shopId)).toEqual({ window: 0, filter: true });
  });

  test("touches no other project", async ({ database, shopId }) => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60, machineFilter: false });
    expect(await rulesOf(database, defaultProjectId)).toEqual({ window: null, filter: true });
  });

  test("the database refuses a window that is negative", async ({ database, shopId }) => {
    await expect(setProjectRules(database.db, shopId, { openWindowSeconds: -1 })).rejects.toThrow(
      "projects_open_window_seconds_check",
    );
  });
});

describe("projectRules", () => {
  test("are those of the projects named, with the window of the configuration where a project sets none", async ({
    database,
    shopId,
  }) => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60, machineFilter: false });

    expect([...(await projectRules(database.db, [shopId], 1200)).keys()]).toEqual([shopId]);
    expect(await projectRules(database.db, [defaultProjectId, shopId], 1200)).toEqual(
      new Map([
        [defaultProjectId, { openWindowSeconds: 1200, machineFilter: true }],
        [shopId, { openWindowSeconds: 60, machineFilter: false }],
      ]),
    );
  });

  test("a window of no length is a window that is set", async ({ database, shopId }) => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 0 });

    expect((await projectRules(database.db, [shopId], 1200)).get(shopId)?.openWindowSeconds).toBe(0);
  });
});
