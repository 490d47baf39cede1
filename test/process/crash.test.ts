import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { dataDirectory, fanmail, terminate } from "../support/fanmail-process.ts";
import { atLength } from "../support/length.ts";
import {
  environmentOf,
  type Rows,
  replay,
  replayed,
  rowsOf,
  storedMore,
  undisturbedRows,
  urlOf,
} from "./week-run.ts";

const kills = atLength(1, 3);

/** Processes start and stop many times here. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 120_000 });

let root: { path: string; remove(): Promise<void> };
let undisturbed: Rows;

beforeAll(async () => {
  root = await dataDirectory();
  undisturbed = await undisturbedRows(root.path);
});
afterAll(() => root.remove());

test("an undisturbed run knows everything that the capture tells", () => {
  expect([undisturbed.notifications.length, undisturbed.events.length]).toEqual([701, 674]);
});

test("kill -9 in the middle of a replay, start and replay again: the same rows as an undisturbed run", async () => {
  const environment = await environmentOf(root.path, "killed");
  for (let kill = 0; kill < kills; kill++) {
    const victim = fanmail(["start"], environment);
    const cutOff = replay(await urlOf(victim), environment, "--rate", "400", "--give-up-after", "0.5");
    await storedMore(environment, 40);
    victim.child.kill("SIGKILL");
    expect([(await victim.ended).code, (await cutOff).code]).toEqual([null, 1]);
  }

  const service = fanmail(["start"], environment);
  const { stored, duplicates } = await replayed(replay(await urlOf(service), environment));
  const rows = await rowsOf(environment);

  expect(await terminate(service)).toMatchObject({ code: 0, stderr: "" });
  expect(stored + duplicates).toBe(749);
  expect(duplicates).toBeGreaterThan(48);
  expect(rows).toEqual(undisturbed);
});
