import { errorText } from "../logger.ts";

/** A supervisor that waits longer than this usually kills. */
const closeWithinMs = 9_500;

/**
 * Waits for SIGTERM or SIGINT, then closes. A second signal ends the process at once.
 * @returns the exit code: 0 when everything was closed in time.
 */
export async function untilStopped(close: () => Promise<void>): Promise<number> {
  await new Promise<void>((resolve) => {
    const onSignal = () => {
      for (const signal of ["SIGTERM", "SIGINT"]) {
        process.off(signal, onSignal);
        process.once(signal, () => process.exit(1));
      }
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, onSignal);
  });
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
