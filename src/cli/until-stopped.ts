import { once } from "node:events";
import { errorText } from "../logger.ts";

/** SIGHUP: the terminal was closed. */
const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** A supervisor that waits longer than this usually kills. */
const closeWithinMs = 9_500;
/** Connections to a server that is away may keep the process alive no longer. */
const lingerMs = 500;

/**
 * From now on SIGTERM, SIGINT and SIGHUP abort the returned signal instead of ending the process, so that what has been
 * started can be closed. Further ones change nothing: npm passes on a Ctrl-C that the terminal has sent already, and an
 * embedded PostgreSQL has to be stopped in any case.
 */
export function stopRequest(): AbortSignal {
  const request = new AbortController();
  for (const signal of stopSignals) process.on(signal, () => request.abort());
  return request.signal;
}

/**
 * Waits for a start that gets `request` itself, but after a stop is requested no longer than closing may take.
 * @returns null when the start was broken off.
 */
export async function startedUnlessStopped<Started>(
  request: AbortSignal,
  starting: Promise<Started>,
): Promise<Started | null> {
  const onAbort = () => void setTimeout(endAtOnce, closeWithinMs).unref();
  request.addEventListener("abort", onAbort);
  try {
    return await starting;
  } catch (error) {
    if (!request.aborted) throw error;
    return null;
  } finally {
    request.removeEventListener("abort", onAbort);
  }
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
  const timer = setTimeout(endAtOnce, closeWithinMs);
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

function endAtOnce(): void {
  process.stderr.write("fanmail: stopping took too long; ending at once\n");
  process.exit(1);
}

/** Ends the process, with its exit code, when something still keeps it alive after the command has run. */
export function endSoon(): void {
  setTimeout(() => process.exit(), lingerMs).unref();
}
