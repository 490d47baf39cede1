/*
 * Decides when a silent topic is a reason to worry. Senders differ: some send every second, some in office hours,
 * some once a week. So each topic is measured by its own habits: it is silent after twice its usual longest pause. An
 * old pause counts less and less.
 */

/** The habits of a topic. */
export type Hearing = {
  /** Time of its first notification; null: never. */
  heard_since: Date | null;
  last_notification_at: Date | null;
  /** The longest usual pause; null: none yet. */
  usual_gap_seconds: number | null;
};

/** A weekend's pause still counts for seven tenths on the next weekend, and an outage is forgotten within weeks. */
const halfLifeSeconds = 14 * 86_400;
const shortestSilenceSeconds = 15 * 60;
/** A topic must have been observed for this long before its habits are known. */
const acquaintanceSeconds = 86_400;

/**
 * The habits after a notification.
 * @param at not before the last known one.
 */
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

/** Whether a topic has been silent for longer than usual. */
export function isSilent(hearing: Hearing, now: Date): boolean {
  const { heard_since, last_notification_at: last, usual_gap_seconds: usual } = hearing;
  if (heard_since === null || last === null) return false;
  if (secondsBetween(heard_since, last) < acquaintanceSeconds) return false;
  return secondsBetween(last, now) > Math.max(shortestSilenceSeconds, 2 * (usual ?? 0));
}

/** Seconds since the last notification; null if there was none. */
export function silentSeconds({ last_notification_at: last }: Hearing, now: Date): number | null {
  return last === null ? null : Math.max(0, secondsBetween(last, now));
}

function secondsBetween(earlier: Date, later: Date): number {
  return (later.getTime() - earlier.getTime()) / 1000;
}
