import { activityName, type EmailEventType, emailEventTypes } from "../domain/mail/event-names.ts";
import { readChoices } from "./command.ts";

/** The names of events, for the help of a command. */
export const eventTypeNames = emailEventTypes.map(activityName);

/**
 * Reads a comma-separated list of events, by the names that activities show (`bounce`) or by our own (`bounced`).
 * @throws UsageError
 */
export function readEventTypes(text: string): ReadonlySet<EmailEventType> {
  const names = readChoices("event types", text, [...new Set([...eventTypeNames, ...emailEventTypes])]);
  return new Set(
    emailEventTypes.filter((type) => names.includes(type) || names.includes(activityName(type))),
  );
}
