import type { CustomEvent } from "./custom-event.ts";
import { ExactNumber, plainDecimal } from "./exact-json.ts";

/** The custom event that confirms an order, as the Vibetrace API calls it. */
const confirmation = "confirmation";

/**
 * The order that a custom event confirms: its `orderId`, else the one inside `generic`, where Vibetrace's clients
 * put it. A number and its text are the same order, and so are 1, 1.0 and 1e0 as numbers; "1.0" is another text.
 * @returns null for other events, and for a confirmation that names no order; neither is limited.
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
