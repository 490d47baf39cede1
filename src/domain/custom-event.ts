import { ExactNumber, plainDecimal } from "./exact-json.ts";
import type { DecidedDetail } from "./mail/decision.ts";

type Properties = Readonly<Record<string, unknown>>;

/** Something that a customer's own system reports about a person. */
export type CustomEvent = {
  id: string;
  /** `confirmation`, which confirms an order, or any other. */
  name: string;
  occurred_at: Date;
  properties: Properties;
};

/** Why a custom event does not count: its order was confirmed before, or the person opened something shortly before. */
export type CustomDiscard = "duplicate_order" | "open_window";

/** @property detail as it is stored; `kept` is the event that counts instead. */
export type DecidedCustomEvent = CustomEvent & {
  discarded: CustomDiscard | null;
  detail: { properties: Properties } & Pick<DecidedDetail, "kept">;
};

/**
 * Decides which custom events count: all except those that confirm an order which another event holds, and opens
 * within the window of another.
 * @param holders event → the event that holds its order; without events that confirm none.
 * @param opens event → the open that counts instead; without opens that count.
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

/** Custom events whose values describe the person. */
const profileEvents: readonly string[] = ["update", "login"];

/** Values to merge into the person's attributes; null for events that do not describe the person. */
export function profileChange({ name, properties }: Pick<CustomEvent, "name" | "properties">) {
  return profileEvents.includes(name) && Object.keys(properties).length > 0 ? properties : null;
}

/** The custom event that confirms an order, as the Vibetrace API calls it. */
const confirmation = "confirmation";

/**
 * The order that a custom event confirms: its `orderId`, else the one inside `generic`, where Vibetrace's clients put
 * it. A number and its text are the same order, and so are the numbers 1, 1.0 and 1e0; the text "1.0" is another.
 * @returns null for other events, and for a confirmation without an order; neither is limited.
 */
export function orderIdOf({ name, properties }: Pick<CustomEvent, "name" | "properties">): string | null {
  if (name !== confirmation) return null;
  const { orderId, generic } = properties;
  return orderText(orderId) ?? (isObject(generic) ? orderText(generic["orderId"]) : null);
}

function orderText(value: unknown): string | null {
  if (typeof value === "number" && Number.isFinite(value)) return plainDecimal(value);
  if (value instanceof ExactNumber) return value.isStorable ? plainDecimal(value) : null;
  return typeof value === "string" ? value.trim() || null : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
