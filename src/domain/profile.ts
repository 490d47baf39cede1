import type { CustomEvent } from "./custom-event.ts";

/** Custom events whose values describe the person. */
const profileEvents: readonly string[] = ["update", "login"];

/** What a custom event says of the person, to be merged into their attributes; null for events that say nothing of it. */
export function profileChange({ name, properties }: Pick<CustomEvent, "name" | "properties">) {
  return profileEvents.includes(name) && Object.keys(properties).length > 0 ? properties : null;
}
