import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { dataDirectory } from "../support/fanmail-process.ts";
import { killedRows, type Rows, undisturbedRows } from "./week-run.ts";

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
  expect(await killedRows(root.path, 1)).toEqual(undisturbed);
});
