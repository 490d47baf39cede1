import type { DiscardReason } from "../../domain/mail/decision.ts";
import type { ReplaySummary } from "../captures/post.ts";
import type { EventCount, JournalCount } from "./statistics.sql.ts";

/** What a run of the demonstration came to. */
export type DemoResult = {
  summary: ReplaySummary;
  journal: JournalCount;
  batches: { unapplied: number; repeated: number; ignored: number };
  events: EventCount[];
  /** By reason. */
  discards: ReadonlyMap<string, number>;
  suppressions: number;
  deliveries: ReadonlyMap<string, number>;
  /** Webhooks that reached the sink in this run, and passed its check or not. */
  verified: number;
  refused: number;
  seconds: number;
};

/** What is wrong with a run; empty when everything arrived, was applied and was delivered. */
export function faultsOf({ summary, batches, deliveries, refused }: DemoResult): string[] {
  const undelivered = [...deliveries]
    .filter(([state]) => state !== "succeeded")
    .map(([state, count]) => `${count} ${state}`);
  return [
    ...[...summary.failed].map(([cause, count]) => `${count} notifications were not taken: ${cause}`),
    ...(batches.unapplied > 0 ? [`${batches.unapplied} batches are not applied`] : []),
    ...(undelivered.length > 0 ? [`webhooks not delivered: ${undelivered.join(", ")}`] : []),
    ...(refused > 0 ? [`the sink refused ${refused} webhooks`] : []),
  ];
}

const discardNotes: Readonly<Record<DiscardReason, string>> = {
  repeat: "clicks within a second of another",
  machine: "of machines (prefetch, scanners)",
  open_window: "repeated opens within 20 min",
};
const noteOf = new Map<string, string>(Object.entries(discardNotes));

/** The result as rows of a table. */
export function reportRows(result: DemoResult): string[][] {
  const { summary, journal, batches, events, discards, suppressions, verified, refused, seconds } = result;
  const row = (label: string, count: number, note = "") => [label, String(count), note];
  return [
    row("Notifications received", summary.read, `in ${seconds.toFixed(1)} s, answered after commit`),
    row("  stored in the journal", summary.stored),
    row("  duplicates (same SNS message)", summary.duplicates, "answered 200, stored once"),
    ...(summary.stored === 0
      ? []
      : [
          row("  same fact in another message", batches.repeated, "counted once"),
          row("  no event (set-up, unknown type)", batches.ignored),
          row("  quarantined, with the reason", journal.quarantined),
        ]),
    [],
    ["Event", "counted", "discarded"],
    ...events.map(({ type, counted, discarded: out }) => [
      `  ${type}`,
      String(counted),
      out > 0 ? String(out) : "",
    ]),
    ...[...discards].map(([reason, count]) => ["", "", `${count} ${noteOf.get(reason) ?? reason}`]),
    [],
    row("Addresses suppressed", suppressions, "after hard bounces and complaints"),
    row("Webhooks delivered in this run", verified + refused),
    row("  signature verified by the sink", verified, "with the standardwebhooks package"),
  ];
}
