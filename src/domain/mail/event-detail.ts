import { canonicalJson } from "../json.ts";
import type { EmailEventType } from "./event-names.ts";
import type { MachineSign } from "./machine-traffic.ts";
import { type UnnamedFields, unitedFields } from "./unnamed-fields.ts";

/** What an event tells; a key that does not apply is absent. */
type ToldDetail = {
  user_agent?: string;
  ip_address?: string;
  url_clicked?: string;
  link_tags?: Record<string, string[]>;
  bounce_type?: string;
  bounce_subtype?: string;
  /** Of the recipient's delivery status notification: `failed`, `delayed`. */
  action?: string;
  /** The enhanced status code of RFC 3463, such as `5.1.1`. */
  status_code?: string;
  diagnostic_code?: string;
  complaint_feedback_type?: string;
  complaint_subtype?: string;
  delay_type?: string;
  expires_at?: string;
  smtp_response?: string;
  reporting_mta?: string;
  processing_time_ms?: number;
  feedback_id?: string;
  reason?: string;
  template_name?: string;
  contact_list?: string;
  new_preferences?: unknown;
  old_preferences?: unknown;
  /** What SES thinks of an open or click since August 2026: `Likely` or `Unlikely` a machine's. */
  is_bot_event?: string;
  /** Present and false when SES does not say which recipient it was. */
  recipient_certain?: false;
  /** Present and false when SES says of none of several recipients that it was them: it is told with the primary one. */
  recipient_listed?: false;
  /** The mailbox that another server named where it is none that the mail was sent to, in the form that is matched. */
  reported_address?: string;
  /** When it happened, where a copy that came later told an earlier time than the first. */
  earliest_at?: string;
  /** What SES sent that has no name here. */
  more?: UnnamedFields;
};

/** What follows from what is told, and from other events; recomputed at will. */
export type DecidedDetail = {
  /** The id of the event that stood, on a discarded one. */
  kept?: string;
  /** What gave a machine away, on an event that is discarded for it. */
  machine?: MachineSign;
  /** Counted until an event that arrived later told otherwise; a webhook may have gone out. */
  reclassified?: true;
  /** A reply by the recipient's mail program, such as out of office; not a bounce to act on. */
  auto_reply?: true;
};

/** What is particular to an event. Stored as it is, in jsonb. */
export type EventDetail = ToldDetail & DecidedDetail;

type Nullable<Fields> = { [Key in keyof Fields]?: Fields[Key] | null | undefined };

/** The detail that an account of SES comes to: without what is null. */
export function eventDetail(fields: Nullable<ToldDetail & DecidedDetail>): EventDetail {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  // Object.fromEntries forgets which key had which type.
  return Object.fromEntries(entries) as EventDetail;
}

/** Why an event came about, as SES and other servers say; null where it does not apply. */
export function reasonsOf({ type, detail }: { type: EmailEventType; detail: EventDetail }) {
  const isRefused = type === "rejected" || type === "rendering_failed";
  return {
    status_code: detail.status_code ?? null,
    diagnostic_code: detail.diagnostic_code ?? null,
    smtp_response: detail.smtp_response ?? null,
    delay_type: detail.delay_type ?? null,
    reject_reason: isRefused ? (detail.reason ?? null) : null,
    reported_address: detail.reported_address ?? null,
  };
}

/**
 * Merges two accounts of the same event, since the two formats of SES leave out different fields. Order, grouping and
 * number of the accounts do not matter: what only one tells is taken over, and of two values that differ the greater
 * stands. An account that lists the recipient knows more than one that lists nobody.
 * @returns `known` itself when `more` tells nothing new.
 */
export function mergeDetails(known: EventDetail, more: EventDetail): EventDetail {
  const [one, other] = [accountOf(known, more), accountOf(more, known)];
  const united = { ...one, ...Object.fromEntries(addedTo(one, other)) };
  return canonicalJson(united) === canonicalJson(known) ? known : united;
}

function addedTo(one: EventDetail, other: EventDetail): [string, unknown][] {
  const mine = new Map<string, unknown>(Object.entries(one));
  return Object.entries(other).flatMap(([key, value]): [string, unknown][] => {
    if (key === "more") return [[key, unitedFields(one.more ?? {}, other.more ?? {})]];
    const isTaken = key === "earliest_at" ? isEarlier(value, mine.get(key)) : isGreater(value, mine.get(key));
    return isTaken ? [[key, value]] : [];
  });
}

/** What an account adds to another. */
function accountOf(detail: EventDetail, other: EventDetail): EventDetail {
  if (detail.recipient_listed !== false || other.recipient_listed === false) return detail;
  const { recipient_listed: _, recipient_certain: __, ...rest } = detail;
  return rest;
}

function isGreater(value: unknown, than: unknown): boolean {
  return than === undefined || canonicalJson(value) > canonicalJson(than);
}

function isEarlier(time: unknown, than: unknown): boolean {
  return than === undefined || String(time) < String(than);
}
