import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startEmbeddedPostgres } from "../../../src/embedded/embedded-postgres.ts";
import { readMetrics } from "../../observability/read-metrics.ts";
import {
  environmentOf,
  killedRows,
  type Rows,
  replay,
  replayed,
  rowsOf,
  storedMore,
  undisturbedRows,
  urlOf,
} from "../../process/week-run.ts";
import { dataDirectory, fanmail, runProcess, terminate } from "../../support/fanmail-process.ts";
import { until } from "../../support/wait.ts";

/** Processes start and stop many times here. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let root: { path: string; remove(): Promise<void> };
let undisturbed: Rows;

beforeAll(async () => {
  root = await dataDirectory();
  undisturbed = await undisturbedRows(root.path);
});
afterAll(() => root.remove());

test("kill -9 in the middle of three replays, start and replay again: the same rows", async () => {
  expect(await killedRows(root.path, 3)).toEqual(undisturbed);
});

test("PostgreSQL stops during a replay: the receiver answers 503, the replay tries again, nothing is missing", async () => {
  const dataDir = join(root.path, "stopped-server");
  const server = await startEmbeddedPostgres({ dataDir });
  const environment = {
    ...(await environmentOf(root.path, "stopped")),
    DATABASE_URL: server.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString("base64"),
    LOG_LEVEL: "silent",
  };
  const service = fanmail(["start"], environment);
  const url = await urlOf(service);
  const disturbed = replay(url, environment, "--rate", "300");
  await storedMore(environment, 50);

  await server.stop();
  const away = await fetch(`${url}/readyz`);
  await until("posts of the replay are turned away", async () => {
    const turnedAway = (await readMetrics(url)).get('fanmail_notifications_unavailable_total{source="http"}');
    return (turnedAway ?? 0) > 0;
  });
  const again = await startEmbeddedPostgres({ dataDir, port: Number(new URL(server.url).port) });

  expect(away.status).toBe(503);
  const { read, failed, stored, duplicates, retries } = await replayed(disturbed);
  expect(retries).toBeGreaterThan(0);
  expect([read, failed, stored + duplicates]).toEqual([749, {}, 749]);
  expect(await rowsOf(environment)).toEqual(undisturbed);
  expect((await terminate(service)).code).toBe(0);
  await again.stop();
});

test("SIGTERM during a replay: what was answered 200 is there, nothing else is, and the exit code is 0", async () => {
  const environment = await environmentOf(root.path, "terminated");
  const service = fanmail(["start"], environment);
  const cutOff = replay(await urlOf(service), environment, "--give-up-after", "0.2");
  await storedMore(environment, 20);

  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });

  const { stored } = JSON.parse((await cutOff).stdout);
  const again = fanmail(["start"], environment);
  await urlOf(again);
  const rows = await rowsOf(environment);
  expect((await terminate(again)).code).toBe(0);
  expect(rows.notifications).toHaveLength(stored);
});

test("two services on one data directory: the second says so and exits 1", async () => {
  const environment = await environmentOf(root.path, "twice");
  const first = fanmail(["start"], environment);
  await urlOf(first);

  const second = await runProcess(["start"], environment);

  expect(second.code).toBe(1);
  expect(second.stderr).toContain(environment.DATA_DIR);
  expect((await terminate(first)).code).toBe(0);
  expect(await readdir(environment.DATA_DIR)).toContain("encryption.key");
});
