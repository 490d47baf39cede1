import { type MachineSign, type Sighting, signOfToday } from "./machine-traffic.ts";

/*
 * Whether an email event counts, and why not. A new reason needs its rule (here or in machine-traffic.ts), its place
 * in the fold (activity.ts), its sentence (explanation.ts) and its note in the demonstration's report; storage,
 * metrics and the API read everything else from here.
 */

/** Why an email event does not count. */
export const discardReasons = ["open_window", "repeat", "machine"] as const;
export type DiscardReason = (typeof discardReasons)[number];

/** Another event counts in its place, or a machine caused it. */
export type Discard =
  | { reason: Exclude<DiscardReason, "machine">; kept: string }
  | { reason: "machine"; machine: MachineSign };

/** The part of an event's detail that follows from the rules and from other events; it can be recomputed. */
export type DecidedDetail = {
  /** On a discarded event: the id of the event that counts in its place. */
  kept?: string;
  /** On an event that was discarded as a machine's: what gave the machine away. */
  machine?: MachineSign;
  /** The event counted until a later arrival changed that; a webhook may have gone out. */
  reclassified?: true;
  /** An automatic reply, such as an out-of-office note: not a bounce to act on. */
  auto_reply?: true;
};

const isDecided: Readonly<Record<keyof DecidedDetail, true>> = {
  kept: true,
  machine: true,
  reclassified: true,
  auto_reply: true,
};
export const decidedKeys: readonly string[] = Object.keys(isDecided);

/** `discarded` is null for an event that counts. */
export type Decision = { discarded: DiscardReason | null; detail: DecidedDetail };

/** What is stored of a decision; earlier versions had other reasons. */
type StoredDecision = { discarded: string | null; detail: DecidedDetail };

/** An automatic reply counts as an event, but not as a bounce. */
const reply: Decision = { discarded: null, detail: { auto_reply: true } };

/** @param isNew whether nothing was decided about the event before. */
export function decisionOf(
  stored: StoredDecision,
  { discard, isReply, isNew }: { discard: Discard | null; isReply: boolean; isNew: boolean },
): Decision {
  if (isReply) return reply;
  if (discard === null) return { discarded: null, detail: {} };
  const { reason, ...sign } = discard;
  const isReclassified = stored.discarded === null ? !isNew : stored.detail.reclassified === true;
  return { discarded: reason, detail: isReclassified ? { ...sign, reclassified: true } : sign };
}

/** Whether a decision differs from the stored one. */
export function isChanged({ discarded, detail }: StoredDecision, decision: Decision): boolean {
  return (
    discarded !== decision.discarded ||
    detail.kept !== decision.detail.kept ||
    signOfToday(detail.machine) !== decision.detail.machine ||
    detail.reclassified !== decision.detail.reclassified ||
    detail.auto_reply !== decision.detail.auto_reply
  );
}

/** The decided part of a detail. */
export function decidedPart({ kept, machine, reclassified, auto_reply }: DecidedDetail): DecidedDetail {
  return {
    ...(kept && { kept }),
    ...(machine && { machine }),
    ...(reclassified && { reclassified }),
    ...(auto_reply && { auto_reply }),
  };
}

/** The last counted open. */
type CountedOpen = { at: Date; id: string };

/**
 * Opens are limited to one in each window: in order of event time an open counts if it is the first, or at least
 * `windowSeconds` after the last counted one. Discarded opens do not move the window.
 *
 * @param last the last counted open before this one, or null.
 */
export function isWithinOpenWindow(openedAt: Date, last: CountedOpen | null, windowSeconds: number): boolean {
  return last !== null && openedAt.getTime() - last.at.getTime() < windowSeconds * 1000;
}

/** A counted click. */
export type CountedClick = { at: Date; id: string };

/** Double clicks are about 0.2 s apart; after a second it may be on purpose. */
export const repeatWindowMs = 1_000;

type Click = Pick<Sighting, "url_clicked" | "user_agent"> & { ip_address?: string };

/** Clicks with the same name are on the same link, from the same address and program. */
export function clickName({ url_clicked, ip_address, user_agent }: Click): string {
  return JSON.stringify([url_clicked, ip_address, user_agent]);
}

/** @param last the last counted click with the same name. */
export function isRepeatedClick(clickedAt: Date, last: CountedClick): boolean {
  return clickedAt.getTime() - last.at.getTime() < repeatWindowMs;
}
