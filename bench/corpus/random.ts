/** Numbers that follow from a seed alone, so that a run can be repeated. */
export type Random = {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, `most`). */
  below(most: number): number;
  pick<Item>(items: readonly [Item, ...Item[]]): Item;
  /** Lowercase hexadecimal digits. */
  hex(digits: number): string;
  /** A UUID, version 4. */
  uuid(): string;
};

/** The generator "mulberry32". @param seed 32 bits. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (most: number) => Math.floor(next() * most);
  const hex = (digits: number) => Array.from({ length: digits }, () => below(16).toString(16)).join("");
  return {
    next,
    below,
    hex,
    pick: (items) => items[below(items.length)] ?? items[0],
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-a${hex(3)}-${hex(12)}`,
  };
}
