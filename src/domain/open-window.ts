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
