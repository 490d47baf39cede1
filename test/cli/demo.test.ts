import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Ended, run } from "../support/command.ts";
import { dataDirectory } from "../support/fanmail-process.ts";
import { countWeek } from "./week.ts";

let directory: { path: string; remove(): Promise<void> };
let first: Ended;
let second: Ended;

beforeAll(async () => {
  directory = await dataDirectory();
  // What a real service would use is not touched by the demonstration.
  const environment = {
    DATA_DIR: directory.path,
    PORT: "0",
    DATABASE_URL: "postgres://127.0.0.1:1/not-used",
    SQS_QUEUE_URLS: "http://127.0.0.1:1/000000000000/not-used",
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1",
    METRICS_PORT: "1",
  };
  first = await run(["demo", "--exit"], environment);
  second = await run(["demo", "--exit"], environment);
}, 180_000);
afterAll(() => directory?.remove());

const week = countWeek();

const complaints = ({ stderr }: Ended) => stderr.split("\n").filter((line) => line !== "");

/** The numbers of a row of the table. */
function row({ stdout }: Ended, label: string): number[] | undefined {
  const line = stdout.split("\n").find((each) => each.trimStart().startsWith(`${label} `));
  return line
    ?.slice(line.indexOf(label) + label.length)
    .match(/^\s*(\d+)(?:\s+(\d+))?/)
    ?.slice(1)
    .filter((number) => number !== undefined)
    .map(Number);
}

describe("the first run", () => {
  test("ends with 0 and complains of nothing", () => {
    expect([first.code, complaints(first)]).toEqual([0, []]);
  });

  test("takes every line of the week, and stores each different one once", () => {
    expect(row(first, "Notifications received")).toEqual([week.lines]);
    expect(row(first, "stored in the journal")).toEqual([week.distinctLines]);
    expect(row(first, "duplicates (same SNS message)")).toEqual([week.lines - week.distinctLines]);
  });

  test("counts a fact once that several messages tell, and sets aside what is no event", () => {
    expect(row(first, "same fact in another message")).toEqual([week.repeatedFacts]);
    expect(row(first, "no event (set-up, unknown type)")).toEqual([week.ignored]);
    expect(row(first, "quarantined, with the reason")).toEqual([week.quarantined]);
  });

  test.each([...week.events])("counts the events of type %s", (type, { counted, discarded }) => {
    expect(row(first, type)).toEqual(discarded > 0 ? [counted, discarded] : [counted]);
  });

  test("delivers a webhook for every event that counts, each with a signature that holds", () => {
    const counts = [...week.events.values()];
    const counted = counts.reduce((sum, count) => sum + count.counted, 0);
    const discarded = counts.reduce((sum, count) => sum + count.discarded, 0);
    const [delivered = 0] = row(first, "Webhooks delivered in this run") ?? [];
    // Suppressions are told too; and an open, before an earlier one takes its place that arrives later.
    expect(delivered).toBeGreaterThanOrEqual(counted);
    expect(delivered).toBeLessThanOrEqual(counted + discarded);
    expect(row(first, "signature verified by the sink")).toEqual([delivered]);
  });

  test("shows the timeline of an email, and how to ask for more", () => {
    expect(first.stdout).toMatch(/\n".+" to \S+@\S+: (delivered|complained)\n {2}2026-11-\S+ +\w+/);
    expect(first.stdout).toContain(`\n  unset DATABASE_URL\n  export DATA_DIR=${directory.path}/demo\n`);
    expect(first.stdout).toContain("\n  npx fanmail doctor\n");
  });

  test("names no address of a server that has ended, and keeps to 80 columns", () => {
    expect(first.stdout).not.toMatch(/http:\/\/127|sk_proj_|curl/);
    for (const line of first.stdout.split("\n")) expect(line.length, line).toBeLessThanOrEqual(80);
  });
});

describe("the second run on the same data", () => {
  test("finds that all are duplicates, and sends no webhook", () => {
    expect([second.code, complaints(second)]).toEqual([0, []]);
    expect(row(second, "Notifications received")).toEqual([week.lines]);
    expect(row(second, "stored in the journal")).toEqual([0]);
    expect(row(second, "duplicates (same SNS message)")).toEqual([week.lines]);
    expect(row(second, "Webhooks delivered in this run")).toEqual([0]);
    expect(second.stdout).toContain(
      "Nothing is new: every notification was received and counted in an earlier run.",
    );
  });

  test("counts as before", () => {
    for (const type of week.events.keys()) expect(row(second, type), type).toEqual(row(first, type));
  });
});
