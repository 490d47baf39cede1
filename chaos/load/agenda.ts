/** Things to be done at a time, each once. Times are of `performance.now()`. */
export type Agenda<Item> = {
  add(dueMs: number, item: Item): void;
  /** Removes what is due, up to `most` of it. */
  take(nowMs: number, most: number): Item[];
  size(): number;
};

const slotMs = 20;

export function createAgenda<Item>(): Agenda<Item> {
  const slots = new Map<number, Item[]>();
  let first = Math.floor(performance.now() / slotMs);
  let size = 0;
  return {
    add(dueMs, item) {
      // What was due before is due now.
      const slot = Math.max(first, Math.floor(dueMs / slotMs));
      const items = slots.get(slot);
      if (items) items.push(item);
      else slots.set(slot, [item]);
      size++;
    },
    take(nowMs, most) {
      const taken: Item[] = [];
      while (first <= Math.floor(nowMs / slotMs) && taken.length < most) {
        const items = slots.get(first) ?? [];
        taken.push(...items.splice(0, most - taken.length));
        if (items.length > 0) break;
        slots.delete(first);
        first++;
      }
      size -= taken.length;
      return taken;
    },
    size: () => size,
  };
}
