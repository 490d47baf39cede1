import type { EventDetail } from "./event-detail.ts";

/** The last counted open. */
export type CountedOpen = { at: Date; id: string };

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

/** Clicks with the same name are on the same link, from the same address and program. */
export function clickName({ url_clicked, ip_address, user_agent }: EventDetail): string {
  return JSON.stringify([url_clicked, ip_address, user_agent]);
}

/** @param last the last counted click with the same name. */
export function isRepeatedClick(clickedAt: Date, last: CountedClick): boolean {
  return clickedAt.getTime() - last.at.getTime() < repeatWindowMs;
}
