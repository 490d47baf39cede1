import { readArgs, UsageError } from "../../src/cli/command.ts";

/** How large a comparison is. */
export type Size = { notifications: number; rounds: number; connections: number; seed: number };

export type Options = Size & { queue: "redis" | "postgres"; asJson: boolean };

/**
 * Reads the options that all comparisons with the usual build have.
 * @param usually and @param quickly their defaults.
 */
export function readComparison(
  args: string[],
  { usually, quickly }: Record<"usually" | "quickly", Pick<Size, "notifications" | "rounds">>,
): Options {
  const { values } = readArgs(args, {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    notifications: { type: "string" },
    rounds: { type: "string" },
    connections: { type: "string", default: "64" },
    seed: { type: "string", default: "1" },
    queue: { type: "string", default: "redis" },
  });
  const usual = values.quick ? quickly : usually;
  return {
    notifications: wholeNumber("notifications", values.notifications ?? usual.notifications, 1_000),
    rounds: wholeNumber("rounds", values.rounds ?? usual.rounds, 1),
    connections: wholeNumber("connections", values.connections, 1),
    seed: wholeNumber("seed", values.seed, 0),
    queue: queueNamed(values.queue),
    asJson: values.json,
  };
}

/** @throws UsageError */
export function wholeNumber(name: string, given: string | number, least: number): number {
  const value = Number(given);
  if (Number.isInteger(value) && value >= least) return value;
  throw new UsageError(`--${name} takes a number from ${least}`);
}

/** Where our queue is. @throws UsageError */
export function queueNamed(name: string): "redis" | "postgres" {
  if (name === "redis" || name === "postgres") return name;
  throw new UsageError("--queue is redis or postgres");
}

/** The usual build gets a quarter of the messages, so that the runs of both take about as long. */
export function shareOfUsual(notifications: number): number {
  return Math.ceil(notifications / 4);
}

/** Shows what is going on, where somebody looks. */
export function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
