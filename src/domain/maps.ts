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

/** Items that come and go, in the order in which they came. */
export type Passing<Item> = {
  /** @returns removes it, and tells whether it was still there. */
  add(item: Item): () => boolean;
  /** The one that has been there longest. */
  first(): Item | undefined;
  /** Those that are there now. */
  all(): Item[];
};

type Place<Item> = { item: Item; previous: Place<Item> | null; next: Place<Item> | null };

/**
 * A linked list for items that come and go with every request or statement, and lead to all that belongs to these. A Set or
 * Map is no place for them: V8 replaces its table again and again, and a table that was replaced still leads to its items and
 * to the next table. Once one is old, only a collection of the whole heap frees it, so that until then everything that passes
 * is kept, copied and counted as old.
 */
export function passing<Item>(): Passing<Item> {
  let first: Place<Item> | null = null;
  let last: Place<Item> | null = null;

  function remove(place: Place<Item>): boolean {
    const { previous, next } = place;
    if (previous !== null) previous.next = next;
    else if (first === place) first = next;
    else return false;
    if (next !== null) next.previous = previous;
    else last = previous;
    // So that nothing is kept by a place that is old.
    place.previous = null;
    place.next = null;
    return true;
  }

  return {
    add(item) {
      const place: Place<Item> = { item, previous: last, next: null };
      if (last !== null) last.next = place;
      else first = place;
      last = place;
      return () => remove(place);
    },
    first: () => first?.item,
    all() {
      const items: Item[] = [];
      for (let place = first; place !== null; place = place.next) items.push(place.item);
      return items;
    },
  };
}
