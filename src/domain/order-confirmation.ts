import type { CustomEvent } from "./custom-event.ts";

/** The custom event that confirms an order, as the Vibetrace API calls it. */
const confirmation = "confirmation";

/**
 * The order that a custom event confirms: its `orderId`, else the one inside `generic`, where Vibetrace's clients
 * put it. A number and its text are the same order.
 * @returns null for other events, and for a confirmation that names no order; neither is limited.
 */
export function orderIdOf({ name, properties }: Pick<CustomEvent, "name" | "properties">): string | null {
  if (name !== confirmation) return null;
  const { orderId, generic } = properties;
  return orderText(orderId) ?? (isObject(generic) ? orderText(generic["orderId"]) : null);
}

function orderText(value: unknown): string | null {
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  return typeof value === "string" ? value.trim() || null : null;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null;
}
