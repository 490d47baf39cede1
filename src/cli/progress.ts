import { SingleBar } from "cli-progress";

export type Progress = { update(value: number, note: string): void; stop(): void };

/**
 * A bar on standard error where that is a terminal; nothing elsewhere.
 * @param total null when it is not known.
 */
export function progressBar(label: string, total: number | null): Progress {
  if (!process.stderr.isTTY || total === null || total === 0) return { update: () => {}, stop: () => {} };
  const bar = new SingleBar({
    format: `${label} {bar} {percentage}% {note}`,
    stream: process.stderr,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(total, 0, { note: "" });
  return {
    update: (value, note) => bar.update(Math.min(value, total), { note }),
    stop: () => bar.stop(),
  };
}
