import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  defaultProjectId,
  findProject,
  insertProject,
  projectRules,
  setProjectRules,
} from "../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;
const shopId = randomUUID();

beforeEach(async () => {
  database = await testDatabase();
  await insertProject(database.db, shopId, "shop");
});
afterEach(() => database?.drop());

async function rulesOf(id: string) {
  const project = await findProject(database.db, id);
  return project && { window: project.open_window_seconds, filter: project.machine_filter };
}

describe("setProjectRules", () => {
  test("a new project sets no window, and tells machines from people", async () => {
    expect(await rulesOf(shopId)).toEqual({ window: null, filter: true });
  });

  test("changes what is given, and leaves the rest", async () => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60 });
    expect(await rulesOf(shopId)).toEqual({ window: 60, filter: true });

    await setProjectRules(database.db, shopId, { machineFilter: false });
    expect(await rulesOf(shopId)).toEqual({ window: 60, filter: false });

    await setProjectRules(database.db, shopId, {});
    expect(await rulesOf(shopId)).toEqual({ window: 60, filter: false });

    await setProjectRules(database.db, shopId, { openWindowSeconds: 0, machineFilter: true });
    expect(await rulesOf(shopId)).toEqual({ window: 0, filter: true });
  });

  test("touches no other project", async () => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60, machineFilter: false });
    expect(await rulesOf(defaultProjectId)).toEqual({ window: null, filter: true });
  });

  test("the database refuses a window that is negative", async () => {
    await expect(setProjectRules(database.db, shopId, { openWindowSeconds: -1 })).rejects.toThrow(
      "projects_open_window_seconds_check",
    );
  });
});

describe("projectRules", () => {
  test("are those of the projects named, with the window of the configuration where a project sets none", async () => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 60, machineFilter: false });

    expect([...(await projectRules(database.db, [shopId], 1200)).keys()]).toEqual([shopId]);
    expect(await projectRules(database.db, [defaultProjectId, shopId], 1200)).toEqual(
      new Map([
        [defaultProjectId, { openWindowSeconds: 1200, machineFilter: true }],
        [shopId, { openWindowSeconds: 60, machineFilter: false }],
      ]),
    );
  });

  test("a window of no length is a window that is set", async () => {
    await setProjectRules(database.db, shopId, { openWindowSeconds: 0 });

    expect((await projectRules(database.db, [shopId], 1200)).get(shopId)?.openWindowSeconds).toBe(0);
  });
});
