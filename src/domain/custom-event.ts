import type { DecidedDetail } from "./event-detail.ts";

type Properties = Readonly<Record<string, unknown>>;

/** What a customer's own system tells of a person. */
export type CustomEvent = {
  id: string;
  /** `confirmation`, which confirms an order, or any other. */
  name: string;
  occurred_at: Date;
  properties: Properties;
};

/** Why a custom event does not count: its order was confirmed before, or its person opened something shortly before. */
export type CustomDiscard = "duplicate_order" | "open_window";

/** @property detail as it is stored; `kept` is the event that counts in its place. */
export type DecidedCustomEvent = CustomEvent & {
  discarded: CustomDiscard | null;
  detail: { properties: Properties } & Pick<DecidedDetail, "kept">;
};

/**
 * Decides which custom events count: all but those that confirm an order which another event holds, and opens in the
 * window of another.
 * @param holders event → the event that holds its order; without those that confirm none.
 * @param opens event → the open that counts in its place; without those that count.
 */
export function decideCustomEvents(
  events: readonly CustomEvent[],
  holders: ReadonlyMap<string, string>,
  opens: ReadonlyMap<string, string> = new Map(),
): DecidedCustomEvent[] {
  return events.map((event) => {
    const { id, properties } = event;
    const holder = holders.get(id) ?? id;
    const open = opens.get(id);
    if (holder !== id)
      return { ...event, discarded: "duplicate_order", detail: { properties, kept: holder } };
    if (open !== undefined) return { ...event, discarded: "open_window", detail: { properties, kept: open } };
    return { ...event, discarded: null, detail: { properties } };
  });
}
