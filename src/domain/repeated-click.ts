import type { EventDetail } from "./event-detail.ts";

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
