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

/** Why a custom event does not count: its order was confirmed before. */
export type CustomDiscard = "duplicate_order";

/** @property detail as it is stored; `kept` is the event that confirmed the order first. */
export type DecidedCustomEvent = CustomEvent & {
  discarded: CustomDiscard | null;
  detail: { properties: Properties } & Pick<DecidedDetail, "kept">;
};

/**
 * Decides which custom events count: all but those that confirm an order which another event holds.
 * @param holders event → the event that holds its order; without those that confirm none.
 */
export function decideCustomEvents(
  events: readonly CustomEvent[],
  holders: ReadonlyMap<string, string>,
): DecidedCustomEvent[] {
  return events.map((event) => {
    const { id, properties } = event;
    const holder = holders.get(id) ?? id;
    return holder === id
      ? { ...event, discarded: null, detail: { properties } }
      : { ...event, discarded: "duplicate_order", detail: { properties, kept: holder } };
  });
}
