/** Bounds how many posts are on their way, by what the process may open. */
export type SocketRoom = {
  size: number;
  /** Waits in turn for one place. @returns null when it stopped waiting. */
  take(stopping: AbortSignal): Promise<Places | null>;
};

/** Places for posts, until they are given back. */
export type Places = {
  /** Takes more where they are free, half of those at most: others come too. @returns how many there are now. */
  grow(wanted: number): number;
  /** Gives all others back. */
  keep(count: number): void;
  /** Gives one back. */
  leave(): void;
};

export function createSocketRoom(size: number): SocketRoom {
  let free = size;
  const waiting = new Set<() => void>();

  function giveBack(count: number): void {
    free += count;
    for (const enter of waiting) {
      if (free === 0) return;
      enter();
    }
  }

  function onePlace(): Places {
    free -= 1;
    let count = 1;
    const keep = (kept: number) => {
      if (kept >= count) return;
      giveBack(count - kept);
      count = kept;
    };
    return {
      grow(wanted) {
        const more = Math.max(0, Math.min(wanted - count, Math.ceil(free / 2)));
        free -= more;
        count += more;
        return count;
      },
      keep,
      leave: () => keep(Math.max(0, count - 1)),
    };
  }

  return {
    size,
    async take(stopping) {
      if (stopping.aborted) return null;
      if (free > 0) return onePlace();
      return new Promise((resolve) => {
        const settle = (places: Places | null) => {
          waiting.delete(enter);
          stopping.removeEventListener("abort", stop);
          resolve(places);
        };
        const enter = () => settle(onePlace());
        const stop = () => settle(null);
        waiting.add(enter);
        stopping.addEventListener("abort", stop);
      });
    },
  };
}

/** Of a post: its socket, and one to ask a name server with. */
const descriptorsOfPost = 2;
/** For the database, the queue, AWS, files and logs. */
const reserved = 100;
const leastRoom = 8;

/** Elsewhere than on Linux the hard limit is at least so much. */
const elsewhere = 10_240;
const unlimited = 1_000_000;

/**
 * How many posts may be on their way at once in a process.
 * @param descriptors what the process may open; null where that cannot be told. Half of what is not reserved is left for
 *   requests that come in.
 */
export function roomOf(descriptors: number | null): number {
  const limit = Math.min(descriptors ?? elsewhere, unlimited);
  return Math.max(leastRoom, Math.floor((limit - reserved) / 2 / descriptorsOfPost));
}
