/** What is particular to an event; a key that does not apply is absent. Stored as it is, in jsonb. */
export type EventDetail = {
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
  /** A reply by the recipient's mail program, such as out of office; not a bounce to act on. */
  auto_reply?: true;
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
  /** The id of the event that stood, on a discarded one. */
  kept?: string;
};
