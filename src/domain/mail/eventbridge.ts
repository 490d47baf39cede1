import { uuidOrNull } from "../computed-id.ts";
import { isObject, storableJson } from "../json.ts";
import { parseSesTime } from "../time-text.ts";
import { text } from "./ses-fields.ts";

/** An event as Amazon EventBridge delivers it to a target, without the fields that an input transformer removed. */
export type EventBridgeEvent = {
  /** null if it is not a UUID. */
  id: string | null;
  /** When the event was published. */
  time: Date | null;
  detailType: string | null;
  source: string | null;
  account: string | null;
  region: string | null;
  resources: string[];
  /** The SES event; null if it is missing or not an object. */
  detail: Record<string, unknown> | null;
};

/**
 * Reads an EventBridge envelope. Transformers remove and add fields: `detail-type`, or a `detail` that is an SES
 * event, is enough. `detail` may also be JSON text.
 * Source: "Events in Amazon EventBridge", Amazon EventBridge user guide.
 * @returns null for anything else.
 */
export function eventBridgeEvent(value: unknown): EventBridgeEvent | null {
  if (!isObject(value) || isSesEvent(value)) return null;
  const detailType = text.read(value["detail-type"]);
  const detail = detailOf(value["detail"]);
  if (detailType === null && !isSesEvent(detail)) return null;
  const { resources } = value;
  const areNames = Array.isArray(resources) && resources.every((name) => typeof name === "string");
  return {
    id: uuidOrNull(text.read(value["id"])),
    time: parseSesTime(text.read(value["time"])),
    detailType,
    source: text.read(value["source"]),
    account: text.read(value["account"]),
    region: text.read(value["region"]),
    resources: areNames ? resources : [],
    detail,
  };
}

/** The same value, with the `detail` of an EventBridge event parsed if it is JSON text. */
export function withReadDetail(value: unknown): unknown {
  const detail = eventBridgeEvent(value)?.detail;
  return detail && isObject(value) ? { ...value, detail } : value;
}

function isSesEvent(value: Record<string, unknown> | null): boolean {
  return typeof value?.["eventType"] === "string" || typeof value?.["notificationType"] === "string";
}

function detailOf(detail: unknown): Record<string, unknown> | null {
  const read = typeof detail === "string" ? storableJson(detail) : detail;
  return isObject(read) ? read : null;
}
