import { median, oneDecimal } from "../bench/measure.ts";
import { table } from "../src/cli/command.ts";
import { groupBy } from "../src/domain/maps.ts";
import { recoveryTimes } from "./check/monitor.ts";
import type { Scene } from "./overload/overload.ts";
import type { RunOptions, RunResult } from "./run.ts";

/** The figures of a run, by name. */
export function figuresOf(
  { seed, queue, rate }: RunOptions,
  result: RunResult,
): Record<string, number | string> {
  const { findings, faults, answers, emails, webhooks, written, monitor, settledSeconds } = result;
  const recovery = recoveryTimes(
    monitor,
    faults.map(({ toMs }) => toMs),
  );
  const megabytes = (role: string) => Math.round((monitor.peakBytes.get(role) ?? 0) / 1e6);
  return {
    seed,
    queue,
    "notifications a second": rate,
    faults: faults.length,
    "kinds of faults": new Set(faults.map(({ name }) => name)).size,
    accepted: emails.accepted,
    "answered 503": answers.unavailable,
    "without an answer": answers.noAnswer,
    "applied: emails": emails.activities,
    "applied: events": emails.events,
    "custom events": written.events.length,
    "endpoints added": written.endpoints.length,
    "people erased": written.erased.length,
    lost: findings.count("lost"),
    "counted twice": findings.count("counted twice"),
    "rows that differ": findings.count("differs"),
    "webhooks owed": webhooks.owed,
    "webhooks arrived": webhooks.arrived,
    "webhooks wrong": findings.count("webhook"),
    "webhooks repeated": webhooks.repeated,
    "repeats that a fault explains": webhooks.explained,
    "wrong conduct": findings.count("conduct"),
    "longest outage, s": oneDecimal(answers.longestOutageMs / 1000),
    ...(recovery.length > 0 && {
      "until up to date after a fault, median s": oneDecimal(median(recovery) / 1000),
      "until up to date after a fault, longest s": oneDecimal(Math.max(...recovery) / 1000),
    }),
    "until everything was done, s": oneDecimal(settledSeconds),
    "memory of a receiver, most MB": megabytes("receiver"),
    "memory of a worker, most MB": megabytes("worker"),
  };
}

/** How often each fault was caused. */
export function faultTable({ faults }: RunResult): string {
  const byName = groupBy(faults, ({ name }) => name);
  const lines = [...byName].map(([name, of]) => `${String(of.length).padStart(5)}  ${name}`);
  return lines.toSorted().toReversed().join("\n");
}

/** Latencies in milliseconds. */
export function overloadTable(scenes: readonly Scene[]): string {
  const heads = ["beside", "200", "503", "other", "p50 ms", "p99 ms", "slowest", "MB", ""];
  const rows = scenes.map(
    ({ name, latencies: { accepted, unavailable, other, ...times }, peakMegabytes, detail }) => {
      const milliseconds = [times.p50, times.p99, times.slowest].map(Math.round);
      return [name, accepted, unavailable, other, ...milliseconds, peakMegabytes, detail].map(String);
    },
  );
  return table([heads, ...rows]).join("\n");
}

export function figureTable(figures: Readonly<Record<string, number | string>>): string {
  const width = Math.max(...Object.keys(figures).map((name) => name.length));
  return Object.entries(figures)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}`)
    .join("\n");
}
