import { request } from "undici";
import { z } from "zod";
import type { DiscardReason } from "../../domain/mail/decision.ts";
import type { ReplaySummary } from "../captures/post.ts";
import type { EventCount, JournalCount } from "./statistics.sql.ts";

/** The result of a demonstration run. */
export type DemoResult = {
  summary: ReplaySummary;
  journal: JournalCount;
  batches: { unapplied: number; repeated: number; ignored: number };
  events: EventCount[];
  /** By reason. */
  discards: ReadonlyMap<string, number>;
  suppressions: number;
  deliveries: ReadonlyMap<string, number>;
  /** Webhooks that reached the sink in this run, by the result of its signature check. */
  verified: number;
  refused: number;
  seconds: number;
};

/** The faults of a run; empty if everything arrived, was applied and was delivered. */
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

const ListedActivity = z.object({ id: z.string(), open_count: z.number(), click_count: z.number() });
const List = z.object({ data: z.array(ListedActivity) });
const Detail = z.object({
  data: z.object({
    id: z.string(),
    subject: z.string().nullable(),
    recipient_primary: z.string(),
    current_status: z.string(),
    events: z.array(
      z.object({
        event_type: z.string(),
        event_timestamp: z.string(),
        url_clicked: z.string().nullable(),
        bounce_type: z.string().nullable(),
        bounce_subtype: z.string().nullable(),
        discarded: z.string().optional(),
      }),
    ),
  }),
});

export type Timeline = z.infer<typeof Detail>["data"];

/** Gets the liveliest email and its events from the API, as a customer would. */
export async function liveliestTimeline(baseUrl: string, apiKey: string): Promise<Timeline | null> {
  const list = List.parse(await ask(`${baseUrl}/v1/activity?status=clicked&per_page=200`, apiKey));
  const [liveliest] = list.data.toSorted((one, other) => score(other) - score(one));
  if (!liveliest) return null;
  const detail = await ask(`${baseUrl}/v1/activity/${liveliest.id}?include=events,discarded`, apiKey);
  return Detail.parse(detail).data;
}

/** One line for each event. */
export function timelineRows({ events }: Timeline): string[][] {
  return events.map((event) => {
    const bounce = [event.bounce_type, event.bounce_subtype].filter((part) => part !== null).join("/");
    const note = event.discarded ? `discarded: ${event.discarded}` : (event.url_clicked ?? bounce);
    return [event.event_timestamp.replace(/\.\d+Z$/, "Z"), event.event_type, note];
  });
}

/** A person both opens and clicks; a link scanner only clicks. */
function score({ open_count, click_count }: z.infer<typeof ListedActivity>): number {
  return Math.min(open_count, 2) * 10 + click_count;
}

async function ask(url: string, apiKey: string): Promise<unknown> {
  const { statusCode, body } = await request(url, { headers: { authorization: `Bearer ${apiKey}` } });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}
