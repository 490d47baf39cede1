/** Ends the wait for a server that has stopped answering. */
export type SilenceWatch = {
  /** @throws SilentServerError when `work` is under way and the server is found to be silent. */
  guard<Result>(work: Promise<Result>): Promise<Result>;
  /** Ends all waits at once. */
  giveUp(): void;
};

/** The server takes connections, or did, and answers nothing: its machine is frozen, or the network lost. */
export class SilentServerError extends Error {
  override readonly name = "SilentServerError";

  constructor() {
    super("The database does not answer");
  }
}

/** Most statements are done by then; a slow one costs a probe at this interval. */
const probeAfterMs = 2_000;

type Waiting = { sinceMs: number; fail: (error: Error) => void };

/**
 * Tells a silent server from a slow statement: when a statement takes long, the server is asked on another connection. So
 * a statement may take as long as it needs, and nobody waits for a dead server.
 * @param isSilent asks; must resolve within seconds.
 */
export function watchForSilence(isSilent: () => Promise<boolean>): SilenceWatch {
  const waiting = new Set<Waiting>();
  let isLookDue = false;

  const look = async () => {
    const nowMs = performance.now();
    const late = [...waiting].filter(({ sinceMs }) => nowMs - sinceMs >= probeAfterMs);
    if (late.length > 0 && (await isSilent())) for (const { fail } of late) fail(new SilentServerError());
    isLookDue = false;
    lookLater();
  };
  const lookLater = () => {
    if (isLookDue || waiting.size === 0) return;
    isLookDue = true;
    // What is waited for keeps the process alive, not the watch.
    setTimeout(look, probeAfterMs).unref();
  };

  return {
    giveUp() {
      for (const { fail } of waiting) fail(new SilentServerError());
    },
    async guard(work) {
      let entry: Waiting | undefined;
      const silence = new Promise<never>((_resolve, fail) => {
        entry = { sinceMs: performance.now(), fail };
        waiting.add(entry);
        lookLater();
      });
      try {
        return await Promise.race([work, silence]);
      } finally {
        if (entry) waiting.delete(entry);
      }
    },
  };
}
