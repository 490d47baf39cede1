import { once } from "node:events";
import { errorText } from "../logger.ts";

/** SIGHUP: the terminal was closed. */
const stopSignals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

/** Supervisors usually kill a process that takes longer. */
const closeWithinMs = 9_500;
/** Connections to an unreachable server may keep the process alive no longer than this. */
const lingerMs = 500;

/**
 * From now on SIGTERM, SIGINT and SIGHUP abort the returned signal instead of ending the process, so that everything can be
 * closed. Repeated signals have no effect: npm passes on a Ctrl-C that the terminal has already sent, and an embedded
 * PostgreSQL must be stopped in any case.
 */
export function stopRequest(): AbortSignal {
  const request = new AbortController();
  for (const signal of stopSignals) process.on(signal, () => request.abort());
  return request.signal;
}

/**
 * Waits for a start that is given `request` too; after a stop request, no longer than closing may take.
 * @returns null if the start was aborted.
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
 * @returns the exit code: 0 if everything was closed in time.
 */
export async function untilStopped(request: AbortSignal, close: () => Promise<void>): Promise<number> {
  if (!request.aborted) await once(request, "abort");
  return closeInTime(close);
}

/** Closes, and ends the process if that takes too long; nothing that was answered 200 is lost. */
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
  process.stderr.write("fanmail: stopping took too long; exiting now\n");
  process.exit(1);
}

/** Ends the process, with its exit code, when something still keeps it alive after the command has run. */
export function endSoon(): void {
  setTimeout(() => process.exit(), lingerMs).unref();
}
