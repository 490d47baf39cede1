/** The name of each event type in the native API and in webhooks. Dialects name them in their own folders. */
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

/** Webhooks that are not about emails. */
const otherWebhooks = [
  "event.tracked",
  "suppression.added",
  "suppression.removed",
  "endpoint.disabled",
  "account.status",
] as const;

export type EmailEventType = keyof typeof names;
/** The types that an endpoint can subscribe to. */
type SubscribedType = (typeof names)[EmailEventType]["webhook"] | (typeof otherWebhooks)[number];
/** `webhook.test` goes to the tested endpoint, whatever it subscribes to. */
export type WebhookEventType = SubscribedType | "webhook.test";

export const emailEventTypes = Object.keys(names) as EmailEventType[];
export const webhookEventTypes: readonly SubscribedType[] = [
  ...emailEventTypes.map((type) => names[type].webhook),
  ...otherWebhooks,
];

/** The name in `GET /v1/activity?include=events` and in the body of a webhook. */
export function activityName(type: EmailEventType): string {
  return names[type].activity;
}

/** The name that webhook endpoints subscribe to. */
export function webhookName(type: EmailEventType): SubscribedType {
  return names[type].webhook;
}

/** The email event types behind webhook names; `*` stands for all. */
export function typesOfWebhookNames(webhooks: readonly string[]): EmailEventType[] {
  return emailEventTypes.filter((type) => webhooks.includes("*") || webhooks.includes(names[type].webhook));
}
