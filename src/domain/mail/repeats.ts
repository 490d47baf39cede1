import type { EventDetail } from "./event-detail.ts";

/** The open that was counted last. */
export type CountedOpen = { at: Date; id: string };

/**
 * Opens are limited to one in each window: in order of event time an open is counted when it is the first, or
 * lies at least `windowSeconds` after the last counted one. The window does not slide with discarded opens.
 *
 * @param last the last counted open before this one, or null.
 */
export function isWithinOpenWindow(openedAt: Date, last: CountedOpen | null, windowSeconds: number): boolean {
  return last !== null && openedAt.getTime() - last.at.getTime() < windowSeconds * 1000;
}

/** A click that was counted. */
export type CountedClick = { at: Date; id: string };

/** Double clicks are some 0.2 s apart; after a second it may be a second thought. */
export const repeatWindowMs = 1_000;

/** The clicks of one name are on the same link, from the same address and program. */
export function clickName({ url_clicked, ip_address, user_agent }: EventDetail): string {
  return JSON.stringify([url_clicked, ip_address, user_agent]);
}

/** @param last the last click of the same name that was counted before this one. */
export function isRepeatedClick(clickedAt: Date, last: CountedClick): boolean {
  return clickedAt.getTime() - last.at.getTime() < repeatWindowMs;
}
