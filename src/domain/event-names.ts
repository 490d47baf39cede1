/**
 * What each canonical event is called by the APIs that show it. An event without a name in an API does not
 * appear there. Every API projects from this table.
 */
const names = {
  sent: { activity: "send", webhook: "email.send" },
  delivered: { activity: "delivered", webhook: "email.delivery" },
  delayed: { activity: "delivery_delay", webhook: "email.deliverydelay" },
  bounced: { activity: "bounce", webhook: "email.bounce" },
  complained: { activity: "complaint", webhook: "email.complaint" },
  rejected: { activity: "reject", webhook: "email.reject" },
  rendering_failed: { activity: "rendering_failure", webhook: "email.renderingfailure" },
  opened: { activity: "open", webhook: "email.open" },
  clicked: { activity: "click", webhook: "email.click" },
  subscription_changed: { activity: "subscription", webhook: "email.subscription" },
  suppressed: { activity: "suppressed", webhook: "email.suppressed" },
} as const;

/** What webhooks tell of beside emails: a custom event, and an address that is not to be written to any more. */
const otherWebhooks = ["event.tracked", "suppression.added"] as const;

export type EmailEventType = keyof typeof names;
export type WebhookEventType = (typeof names)[EmailEventType]["webhook"] | (typeof otherWebhooks)[number];

export const emailEventTypes = Object.keys(names) as EmailEventType[];
export const webhookEventTypes: readonly WebhookEventType[] = [
  ...emailEventTypes.map((type) => names[type].webhook),
  ...otherWebhooks,
];

/** The name in `GET /v1/activity?include=events` and in the body of a webhook. */
export function activityName(type: EmailEventType): string {
  return names[type].activity;
}

/** The name that webhook endpoints subscribe to. */
export function webhookName(type: EmailEventType): WebhookEventType {
  return names[type].webhook;
}
