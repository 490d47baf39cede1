import { afterEach, beforeEach, expect, test } from "vitest";
import { areas } from "../../../src/tools/doctor/finding.ts";
import { readOnly } from "../../../src/tools/doctor/health.sql.ts";
import type { AwsStub } from "../../support/aws-stub.ts";
import { certificateHost, type Ground, healthyGround, healthyWorld, type World } from "./healthy-world.ts";

let ground: Ground;
let certificates: AwsStub;
let world: World;

beforeEach(async () => {
  [ground, certificates] = await Promise.all([healthyGround(), certificateHost()]);
  world = await healthyWorld(ground, certificates);
});
afterEach(async () => {
  await world.close();
  await certificates.close();
  await ground.database.drop();
});

test("when nothing is wrong every area is checked, and everything is ok but the durability of the test server", async () => {
  const findings = await world.examine();

  // The server of the tests does not wait for the disk.
  expect(findings.filter(({ level }) => level !== "ok")).toMatchObject(
    ["fsync", "synchronous_commit"].map((name) => ({
      code: "server-durability",
      what: `${name} is off: what was answered 200 can be lost when the server crashes.`,
      remedy: expect.stringContaining(`alter system set ${name} = on`),
    })),
  );
  expect([...new Set(findings.map(({ area }) => area))]).toEqual([...areas]);
});

test("doctor reads and changes nothing", async () => {
  const before = await contents();

  await world.examine();

  expect(await contents()).toEqual(before);
  expect(world.aws.called.filter((action) => !/:(Get|List)/.test(action))).toEqual([]);
  expect(world.aws.called).toContain("sns:GetTopicAttributes");
});

test("doctor's connection to the database cannot write", async () => {
  const db = readOnly(world.database.db, 1_000);

  await expect(db.query("delete from topics")).rejects.toThrow("read-only transaction");
  await expect(db.query("select pg_sleep(20)")).rejects.toThrow("statement timeout");
});

async function contents(): Promise<unknown[]> {
  const { db } = world.database;
  const tables = await db.query<{ name: string }>(
    "select table_schema || '.' || table_name as name from information_schema.tables where table_schema in ('public', 'bullmq') order by 1",
  );
  return Promise.all(
    tables.map(({ name }) =>
      db.query(
        `select '${name}' as name, md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from ${name} t`,
      ),
    ),
  );
}
