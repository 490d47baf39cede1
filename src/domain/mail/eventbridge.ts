import { z } from "zod";
import { uuidOrNull } from "../computed-id.ts";
import { storableJson } from "../json.ts";
import { parseSesTime } from "../time-text.ts";

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

const text = z.string().nullish().catch(null);
const Envelope = z.looseObject({
  id: text,
  time: text,
  "detail-type": text,
  source: text,
  account: text,
  region: text,
  resources: z.array(z.string()).catch([]),
  detail: z.unknown().optional(),
});
const SesDetail = z.union([z.object({ eventType: z.string() }), z.object({ notificationType: z.string() })]);
const Fields = z.record(z.string(), z.unknown());

/**
 * Reads an EventBridge envelope. Transformers remove and add fields: `detail-type`, or a `detail` that is an SES
 * event, is enough. `detail` may also be JSON text.
 * Source: "Events in Amazon EventBridge", Amazon EventBridge user guide.
 * @returns null for anything else.
 */
export function eventBridgeEvent(value: unknown): EventBridgeEvent | null {
  // Nearly all messages are bare SES events, which need no further parsing here.
  if (SesDetail.safeParse(value).success) return null;
  const envelope = Envelope.safeParse(value);
  if (!envelope.success) return null;
  const { id, time, source, account, region, resources, "detail-type": detailType } = envelope.data;
  const detail = detailOf(envelope.data.detail);
  if (typeof detailType !== "string" && !SesDetail.safeParse(detail).success) return null;
  return {
    id: uuidOrNull(id),
    time: parseSesTime(time),
    detailType: detailType ?? null,
    source: source ?? null,
    account: account ?? null,
    region: region ?? null,
    resources,
    detail,
  };
}

/** The same value, with the `detail` of an EventBridge event parsed if it is JSON text. */
export function withReadDetail(value: unknown): unknown {
  const detail = eventBridgeEvent(value)?.detail;
  return detail ? { ...Fields.parse(value), detail } : value;
}

function detailOf(detail: unknown): Record<string, unknown> | null {
  const read = typeof detail === "string" ? storableJson(detail) : detail;
  return Fields.safeParse(read).data ?? null;
}
