import { passing } from "../domain/maps.ts";

/** Ends waiting for a server, or a connection to it, that has stopped answering. */
export type SilenceWatch = {
  /**
   * @param backend the process of the server that does `work`, as the server has told the driver; null: unknown.
   * @throws SilentServerError if the server is found silent while `work` is running, or to know nothing of it.
   */
  guard<Result>(work: Promise<Result>, backend: number | null): Promise<Result>;
  /** Ends all waits at once. */
  giveUp(): void;
};

/** What a probe finds out about the server. */
export type Probed = {
  isSilent: boolean;
  /** Also true where it cannot be told. */
  isAtWork(backend: number | null): boolean;
};

/** The server, or the way to it, was there, and answers nothing: its machine is frozen, or the network has lost the connection. */
export class SilentServerError extends Error {
  override readonly name = "SilentServerError";

  constructor() {
    super("The database does not answer");
  }
}

/** Most statements are done by then; a slow one costs a probe per interval. */
const probeAfterMs = 2_000;

type Waiting = { sinceMs: number; backend: number | null; isDoubtful: boolean; fail: (error: Error) => void };

/**
 * Distinguishes silence from a slow statement: if a statement takes long, the server is asked on another connection. So a
 * statement may take as long as it needs, and nothing waits for a server that is dead, nor on a connection of which only
 * this end is left.
 * @param probe must resolve within seconds.
 */
export function watchForSilence(probe: () => Promise<Probed>): SilenceWatch {
  const waiting = passing<Waiting>();
  let isLookDue = false;

  const look = async () => {
    const nowMs = performance.now();
    const late = waiting.all().filter(({ sinceMs }) => nowMs - sinceMs >= probeAfterMs);
    if (late.length > 0) judge(late, await probe());
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
    guard(work, backend) {
      let leave: () => void = () => {};
      const silence = new Promise<never>((_resolve, fail) => {
        leave = waiting.add({ sinceMs: performance.now(), backend, isDoubtful: false, fail });
        lookLater();
      });
      return Promise.race([work, silence]).finally(leave);
    },
  };
}

function judge(late: readonly Waiting[], { isSilent, isAtWork }: Probed): void {
  for (const one of late) {
    const isIdle = !isAtWork(one.backend);
    // Found idle once, it may be that its answer is on the way.
    if (isSilent || (isIdle && one.isDoubtful)) one.fail(new SilentServerError());
    one.isDoubtful = isIdle;
  }
}
