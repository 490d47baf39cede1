import { canonicalJson } from "../json.ts";
import type { DecidedDetail } from "./decision.ts";
import type { EmailEventType } from "./event-names.ts";
import { isGreater, type UnnamedFields, unitedFields } from "./unnamed-fields.ts";

/** What SES reports about an event; a key that does not apply is absent. */
type ReportedDetail = {
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
  /** SES's own guess whether a machine opened or clicked, since August 2026: `Likely` or `Unlikely`. */
  is_bot_event?: string;
  /** Present and false when SES does not say which recipient it was. */
  recipient_certain?: false;
  /** Present and false when SES names none of several recipients; the event is recorded with the primary one. */
  recipient_listed?: false;
  /** The mailbox that a server reported, in the form that is matched, if the mail was not sent to it. */
  reported_address?: string;
  /** The event's time, if a later copy reported an earlier time than the first one. */
  earliest_at?: string;
  /** Fields of SES that have no name here. */
  more?: UnnamedFields;
};

/** What is particular to an event. It is stored as it is, in jsonb. */
export type EventDetail = ReportedDetail & DecidedDetail;

type Nullable<Fields> = { [Key in keyof Fields]?: Fields[Key] | null | undefined };

/** Builds a detail; fields that are null or undefined are left out. */
export function eventDetail(fields: Nullable<EventDetail>): EventDetail {
  const detail: Record<string, unknown> = {};
  for (const key in fields) {
    const value = fields[key as keyof EventDetail];
    if (value !== null && value !== undefined) detail[key] = value;
  }
  // The loop forgets which key has which type.
  return detail as EventDetail;
}

/** The reasons that SES and other servers give for an event; null where they do not apply. */
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

/*
 * Subtypes of bounces and complaints that change what the event is.
 * Source: "Contents of event data", Amazon SES developer guide, and captures of its mailbox simulator.
 */

/** SES did not send the email, because the address is on the suppression list of the sender's SES account. */
export const onAccountList = "OnAccountSuppressionList";
/** The same for the list of one tenant, which says nothing about a project's other senders. */
export const onTenantList = "OnTenantSuppressionList";

/** Whether SES did not send the email because of one of these lists. */
export function isHeldBack({ bounce_subtype, complaint_subtype }: EventDetail): boolean {
  return [bounce_subtype, complaint_subtype].some(
    (subtype) => subtype === onAccountList || subtype === onTenantList,
  );
}

/** The recipient took the email out of the spam folder: the opposite of a complaint. */
export function isNotSpam({ complaint_feedback_type }: EventDetail): boolean {
  return complaint_feedback_type?.toLowerCase() === "not-spam";
}

/**
 * Whether a bounce looks like an out-of-office reply, which has no delivery status. It is one if the email was
 * delivered; otherwise there was nothing to reply to.
 */
export function looksLikeReply(detail: EventDetail): boolean {
  const isGeneral = detail.bounce_type === "Transient" && detail.bounce_subtype === "General";
  const isTheirs = detail.recipient_listed !== false;
  return isTheirs && isGeneral && !detail.action && !detail.status_code && !detail.diagnostic_code;
}

/**
 * Merges two reports of the same event, because the two formats of SES leave out different fields. The order and number
 * of reports do not matter: a field that only one has is added, and of two values that differ the greater stands. A
 * report that lists the recipient overrides one that lists nobody.
 * @returns `known` itself when `more` adds nothing.
 */
export function mergeDetails(known: EventDetail, more: EventDetail): EventDetail {
  const [one, other] = [reportBeside(known, more), reportBeside(more, known)];
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

/** A report without the fields that the other one overrides. */
function reportBeside(detail: EventDetail, other: EventDetail): EventDetail {
  if (detail.recipient_listed !== false || other.recipient_listed === false) return detail;
  const { recipient_listed: _, recipient_certain: __, ...rest } = detail;
  return rest;
}

function isEarlier(time: unknown, than: unknown): boolean {
  return than === undefined || String(time) < String(than);
}
