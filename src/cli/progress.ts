import { SingleBar } from "cli-progress";

export type Progress = { update(value: number, note: string): void; stop(): void };

/**
 * A progress bar on standard error if that is a terminal, with the remaining time; otherwise nothing.
 * @param total null if it is not known.
 */
export function progressBar(label: string, total: number | null): Progress {
  if (!process.stderr.isTTY || total === null || total === 0) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% {note}, {eta_formatted} left`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
    // Updates arrive by the thousand: the remaining time is estimated from the last of them.
    etaBuffer: 1_000,
  });
  bar.start(total, 0, { note: "" });
  return {
    update: (value, note) => bar.update(Math.min(value, total), { note }),
    stop: () => bar.stop(),
  };
}

/** Computes the rate per second over the last seconds. @param nowMs a monotonic clock, in milliseconds. */
export function ratePerSecond(nowMs: () => number = () => performance.now()): (count: number) => number {
  let [from, to] = [
    { atMs: nowMs(), count: 0 },
    { atMs: nowMs(), count: 0 },
  ];
  return (count) => {
    const atMs = nowMs();
    if (atMs - to.atMs >= 2_000) [from, to] = [to, { atMs, count }];
    return Math.round(((count - from.count) * 1000) / Math.max(atMs - from.atMs, 1));
  };
}
