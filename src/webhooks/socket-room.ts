/** Bounds how many posts are in flight. */
export type SocketRoom = {
  size: number;
  /** Waits its turn for one place. @returns null when it stopped waiting. */
  take(stopping: AbortSignal): Promise<Places | null>;
};

/** Places that a caller holds. */
export type Places = {
  /** Takes more places, half of the free ones at most, which leaves some for others. @returns how many it has now. */
  grow(wanted: number): number;
  /** Gives back all places beyond `count`. */
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
