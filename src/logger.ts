import { pino } from "pino";

export const logLevels = ["fatal", "error", "warn", "info", "debug", "trace", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Structured logs. Fields hold ids, counts and causes; never an address or a payload. */
export type Logger = {
  error(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  info(fields: object, message: string): void;
  debug(fields: object, message: string): void;
};

/** Logs JSON lines to standard error; standard output is for a command's result. */
export function createLogger(level: LogLevel): Logger {
  const output = pino.destination({ dest: 2, sync: true });
  // The terminal was closed, or the disk is full: the service continues without its log.
  output.on("error", () => {});
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    output,
  );
}

/** Logs at most one warning in `everyMs` for something that may happen a thousand times a second. */
export function sparseWarning(log: Logger, message: string, everyMs: number): (cause: unknown) => void {
  let silentUntilMs = Number.NEGATIVE_INFINITY;
  return (cause) => {
    const nowMs = performance.now();
    if (nowMs < silentUntilMs) return;
    silentUntilMs = nowMs + everyMs;
    log.warn({ cause: errorText(cause) }, message);
  };
}

/** @property left_out how many lines of the kind were not written since the last one. */
type LeftOut = { left_out?: number };

/**
 * Bounds the lines that strangers can cause.
 * @param most lines of a kind in `everyMs`. @returns writes a line of a kind, unless there were too many.
 */
export function boundedLog(
  most: number,
  everyMs: number,
): (kind: string, write: (leftOut: LeftOut) => void) => void {
  const kinds = new Map<string, { sinceMs: number; written: number; leftOut: number }>();
  return (kind, write) => {
    const nowMs = performance.now();
    const known = kinds.get(kind);
    const isFresh = known !== undefined && nowMs - known.sinceMs < everyMs;
    const lines = isFresh ? known : { sinceMs: nowMs, written: 0, leftOut: known?.leftOut ?? 0 };
    kinds.set(kind, lines);
    if (lines.written === most) {
      lines.leftOut++;
      return;
    }
    write(lines.leftOut > 0 ? { left_out: lines.leftOut } : {});
    lines.written++;
    lines.leftOut = 0;
  };
}

/** The message of an error and of its causes, in one line. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const inner =
    error instanceof AggregateError ? error.errors : error.cause === undefined ? [] : [error.cause];
  return [error.message || error.name, ...inner.map(errorText)].join(": ");
}
