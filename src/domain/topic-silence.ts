/*
 * When a topic that says nothing is to be worried about. Senders differ: some speak every second, some in office hours,
 * some once a week. So a topic is measured by itself: it is silent when it has said nothing for twice as long as it is used
 * to. What it is used to is the longest pause so far, which is slowly forgotten.
 */

/** What is known of when a topic speaks. */
export type Hearing = {
  /** When it spoke for the first time; null: never. */
  heard_since: Date | null;
  last_notification_at: Date | null;
  /** The longest pause that is usual; null: there was none yet. */
  usual_gap_seconds: number | null;
};

/** The pause of a weekend still counts for seven tenths on the next one, and one that was an outage is forgotten in weeks. */
const halfLifeSeconds = 14 * 86_400;
const shortestSilenceSeconds = 15 * 60;
/** Before it has been heard over this time, nothing is known of its habits. */
const acquaintanceSeconds = 86_400;

/** What is known after something came from a topic. @param at not before what was known. */
export function afterHearing(hearing: Hearing, at: Date): Hearing {
  const { heard_since, last_notification_at: last, usual_gap_seconds: usual } = hearing;
  if (last === null)
    return { heard_since: heard_since ?? at, last_notification_at: at, usual_gap_seconds: null };
  if (at <= last) return hearing;
  const gapSeconds = secondsBetween(last, at);
  const remembered = (usual ?? 0) * 0.5 ** (gapSeconds / halfLifeSeconds);
  return {
    heard_since: heard_since ?? last,
    last_notification_at: at,
    usual_gap_seconds: Math.max(gapSeconds, remembered),
  };
}

/** Whether a topic says nothing for longer than it is used to. */
export function isSilent(hearing: Hearing, now: Date): boolean {
  const { heard_since, last_notification_at: last, usual_gap_seconds: usual } = hearing;
  if (heard_since === null || last === null) return false;
  if (secondsBetween(heard_since, last) < acquaintanceSeconds) return false;
  return secondsBetween(last, now) > Math.max(shortestSilenceSeconds, 2 * (usual ?? 0));
}

/** For how long nothing has come; null when nothing ever has. */
export function silentSeconds({ last_notification_at: last }: Hearing, now: Date): number | null {
  return last === null ? null : Math.max(0, secondsBetween(last, now));
}

function secondsBetween(earlier: Date, later: Date): number {
  return (later.getTime() - earlier.getTime()) / 1000;
}
