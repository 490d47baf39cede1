import { passing } from "../domain/maps.ts";

/** Ends waiting for a server that has stopped answering. */
export type SilenceWatch = {
  /** @throws SilentServerError if the server is found silent while `work` is running. */
  guard<Result>(work: Promise<Result>): Promise<Result>;
  /** Ends all waits at once. */
  giveUp(): void;
};

/** The server accepts connections, or did, and answers nothing: its machine is frozen, or the network is down. */
export class SilentServerError extends Error {
  override readonly name = "SilentServerError";

  constructor() {
    super("The database does not answer");
  }
}

/** Most statements are done by then; a slow one costs a probe per interval. */
const probeAfterMs = 2_000;

type Waiting = { sinceMs: number; fail: (error: Error) => void };

/**
 * Distinguishes a silent server from a slow statement: if a statement takes long, the server is probed on another
 * connection. So a statement may take as long as it needs, and nothing waits for a dead server.
 * @param isSilent the probe; must resolve within seconds.
 */
export function watchForSilence(isSilent: () => Promise<boolean>): SilenceWatch {
  const waiting = passing<Waiting>();
  let isLookDue = false;

  const look = async () => {
    const nowMs = performance.now();
    const late = waiting.all().filter(({ sinceMs }) => nowMs - sinceMs >= probeAfterMs);
    if (late.length > 0 && (await isSilent())) for (const { fail } of late) fail(new SilentServerError());
    isLookDue = false;
    lookLater();
  };
  const lookLater = () => {
    if (isLookDue || waiting.first() === undefined) return;
    isLookDue = true;
    // The pending work keeps the process alive, not this watch.
    setTimeout(look, probeAfterMs).unref();
  };

  return {
    giveUp() {
      for (const { fail } of waiting.all()) fail(new SilentServerError());
    },
    guard(work) {
      let leave: () => void = () => {};
      const silence = new Promise<never>((_resolve, fail) => {
        leave = waiting.add({ sinceMs: performance.now(), fail });
        lookLater();
      });
      return Promise.race([work, silence]).finally(leave);
    },
  };
}
