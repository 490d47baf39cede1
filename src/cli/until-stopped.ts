import { once } from "node:events";
import { errorText } from "../logger.ts";

const stopSignals = ["SIGTERM", "SIGINT"] as const;

/** A supervisor that waits longer than this usually kills. */
const closeWithinMs = 9_500;

/**
 * From now on SIGTERM and SIGINT abort the returned signal instead of ending the process, so that what has been
 * started can be closed. A second one ends the process at once.
 */
export function stopRequest(): AbortSignal {
  const request = new AbortController();
  const onSignal = () => {
    for (const signal of stopSignals) {
      process.off(signal, onSignal);
      process.once(signal, () => process.exit(1));
    }
    request.abort();
  };
  for (const signal of stopSignals) process.on(signal, onSignal);
  return request.signal;
}

/**
 * Waits until a stop is requested, then closes.
 * @returns the exit code: 0 when everything was closed in time.
 */
export async function untilStopped(request: AbortSignal, close: () => Promise<void>): Promise<number> {
  if (!request.aborted) await once(request, "abort");
  return closeInTime(close);
}

/** Closes, and ends the process where that takes too long: nothing that was answered 200 is lost by it. */
export async function closeInTime(close: () => Promise<void>): Promise<number> {
  const timer = setTimeout(() => {
    process.stderr.write("fanmail: stopping took too long; ending at once\n");
    process.exit(1);
  }, closeWithinMs);
  try {
    await close();
    return 0;
  } catch (error) {
    process.stderr.write(`fanmail: stopping failed: ${errorText(error)}\n`);
    return 1;
  } finally {
    clearTimeout(timer);
  }
}
