/** As Map.groupBy, which Node 20 does not have. Groups and their members keep the order of `items`. */
export function groupBy<Item, Key>(items: readonly Item[], keyOf: (item: Item) => Key): Map<Key, Item[]> {
  const groups = new Map<Key, Item[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
}

/** A map of limited size, which a caller cannot make grow by asking for ever new names. */
export type RecentlyUsed<Value> = {
  get(name: string): Value | undefined;
  set(name: string, value: Value): void;
};

/** @param most entries; beyond that the least recently used one is removed. */
export function recentlyUsed<Value>(most: number): RecentlyUsed<Value> {
  const entries = new Map<string, Value>();
  const touch = (name: string, value: Value) => {
    entries.delete(name);
    entries.set(name, value);
  };
  return {
    get(name) {
      const value = entries.get(name);
      if (value !== undefined) touch(name, value);
      return value;
    },
    set(name, value) {
      touch(name, value);
      const [oldest] = entries.keys();
      if (entries.size > most && oldest !== undefined) entries.delete(oldest);
    },
  };
}
