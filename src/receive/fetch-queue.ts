import { UnverifiedError } from "../domain/errors.ts";

/** Bounds what somebody can make us fetch at a time by inventing names. */
export const fetchPlaces = 16;
/** Beyond it the name that nobody has asked for for longest gives way. */
const maxWaiting = 512;
/** How long a fetch may keep its place while others wait. AWS answers within it from anywhere, TLS included. */
const contestedMs = 1_000;
/** With the fetch itself, less than the receiver's deadline: what waits here is no sign that we cannot store. */
const longestWaitMs = 4_000;

export type FetchQueue = {
  /**
   * Runs a fetch when it is its turn.
   * @param fetch ends when the signal says that its place is needed.
   * @throws UnverifiedError `certificate_crowded` when it had no turn, or not for long enough.
   */
  run<Result>(name: string, fetch: (signal: AbortSignal) => Promise<Result>): Promise<Result>;
  /** Puts a name that waits at the head: somebody asks for it again. */
  prefer(name: string): void;
};

type Waiting = { start(): void; giveWay(): void; timer: NodeJS.Timeout };

/**
 * Fetches of names that anybody can invent. The newest goes first, so that a genuine name passes all invented ones that
 * came before it, and each further message that gives the genuine name brings it to the head again. While fewer new
 * names come than are fetched (16 at a time, more than 100 a second where AWS answers in 0.1 s) it is fetched at once,
 * however many lie waiting. Beyond that each message that gives it has a chance, of what is fetched by what comes, and
 * one is enough. A fetch that hangs keeps its place for a second while others wait.
 */
export function createFetchQueue(): FetchQueue {
  /** In the order in which they were last asked for. */
  const waiting = new Map<string, Waiting>();
  let running = 0;

  function startNext(): void {
    const [name, newest] = [...waiting].at(-1) ?? [];
    if (name === undefined || newest === undefined) return;
    waiting.delete(name);
    clearTimeout(newest.timer);
    running++;
    newest.start();
  }

  function turnOf(name: string): Promise<void> {
    if (running < fetchPlaces) {
      running++;
      return Promise.resolve();
    }
    return new Promise((start, reject) => {
      const giveWay = () => {
        clearTimeout(timer);
        waiting.delete(name);
        reject(crowded());
      };
      const timer = setTimeout(giveWay, longestWaitMs);
      waiting.set(name, { start, giveWay, timer });
      const [oldest] = waiting.values();
      if (waiting.size > maxWaiting) oldest?.giveWay();
    });
  }

  return {
    async run(name, fetch) {
      await turnOf(name);
      const contested = new AbortController();
      const timer = setInterval(() => waiting.size > 0 && contested.abort(), contestedMs);
      try {
        return await fetch(contested.signal);
      } catch (error) {
        throw contested.signal.aborted ? crowded(error) : error;
      } finally {
        clearInterval(timer);
        running--;
        startNext();
      }
    },
    prefer(name) {
      const found = waiting.get(name);
      if (found === undefined) return;
      waiting.delete(name);
      waiting.set(name, found);
    },
  };
}

function crowded(cause?: unknown): UnverifiedError {
  const message = "Too many unknown SNS certificates are asked for";
  return new UnverifiedError("certificate_crowded", message, { cause });
}
