import { canonicalJson } from "./canonical-json.ts";
import type { MachineSign } from "./machine-traffic.ts";

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
  /** Present and false when SES does not say which recipient it was. */
  recipient_certain?: false;
};

/** What follows from what is told, and from other events; recomputed at will. */
export type DecidedDetail = {
  /** The id of the event that stood, on a discarded one. */
  kept?: string;
  /** What gave a machine away, on an event that is discarded for it. */
  machine?: MachineSign;
  /** Counted until an event that arrived later told otherwise; a webhook may have gone out. */
  reclassified?: true;
};

/** What is particular to an event. Stored as it is, in jsonb. */
export type EventDetail = ToldDetail &
  DecidedDetail & {
    /** A reply by the recipient's mail program, such as out of office; not a bounce to act on. */
    auto_reply?: true;
  };

type Nullable<Fields> = { [Key in keyof Fields]?: Fields[Key] | null | undefined };

/**
 * The detail that an account of SES comes to: without what is null, and with the mark of an automatic reply. Out
 * of office arrives as a bounce that is Transient/General and has no delivery status.
 * Source: "Bounce types", Amazon SES developer guide, and captures of its mailbox simulator.
 */
export function eventDetail(fields: Nullable<ToldDetail & DecidedDetail>): EventDetail {
  const entries = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined);
  // Object.fromEntries forgets which key had which type.
  const told = Object.fromEntries(entries) as EventDetail;
  const isGeneral = told.bounce_type === "Transient" && told.bounce_subtype === "General";
  const hasStatus = told.action || told.status_code || told.diagnostic_code;
  return isGeneral && !hasStatus ? { ...told, auto_reply: true } : told;
}

/**
 * Makes one of two accounts of the same event, since the two formats of SES leave out different fields. Order,
 * grouping and number of the accounts do not matter: what only one tells is taken over, and of two values that
 * differ the greater stands.
 * @returns `known` itself when `more` tells nothing new.
 */
export function mergeDetails(known: EventDetail, more: EventDetail): EventDetail {
  const { auto_reply: _, ...one } = known;
  const { auto_reply: __, ...other } = more;
  const mine = new Map<string, unknown>(Object.entries(one));
  const added = Object.entries(other).filter(([key, value]) => isGreater(value, mine.get(key)));
  return added.length === 0 ? known : eventDetail({ ...one, ...Object.fromEntries(added) });
}

function isGreater(value: unknown, than: unknown): boolean {
  return than === undefined || canonicalJson(value) > canonicalJson(than);
}
