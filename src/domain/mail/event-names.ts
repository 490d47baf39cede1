/**
 * What each canonical event is called by the APIs that show it. An event without a name in an API does not
 * appear there. Every API projects from this table.
 */
const names = {
  sent: { activity: "send", webhook: "email.send" },
  delivered: { activity: "delivered", webhook: "email.delivery", emailit: "email.delivery.sent" },
  delayed: { activity: "delivery_delay", webhook: "email.deliverydelay", emailit: "email.delivery.delayed" },
  bounced: {
    activity: "bounce",
    webhook: "email.bounce",
    emailit: { hard: "email.delivery.hardfail", soft: "email.delivery.softfail" },
  },
  complained: { activity: "complaint", webhook: "email.complaint" },
  rejected: { activity: "reject", webhook: "email.reject", emailit: "email.delivery.error" },
  rendering_failed: {
    activity: "rendering_failure",
    webhook: "email.renderingfailure",
    emailit: "email.delivery.error",
  },
  opened: { activity: "open", webhook: "email.open", emailit: "email.loaded" },
  clicked: { activity: "click", webhook: "email.click", emailit: "email.link.clicked" },
  subscription_changed: { activity: "subscription", webhook: "email.subscription" },
  suppressed: { activity: "suppressed", webhook: "email.suppressed", emailit: "email.delivery.held" },
} as const;

/** What webhooks tell of beside emails. */
const otherWebhooks = [
  "event.tracked",
  "suppression.added",
  "suppression.removed",
  "endpoint.disabled",
  "account.status",
] as const;

export type EmailEventType = keyof typeof names;
/** What an endpoint can subscribe to. */
type SubscribedType = (typeof names)[EmailEventType]["webhook"] | (typeof otherWebhooks)[number];
/** `webhook.test` goes to the endpoint that is tested, whatever it subscribes to. */
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

/** The types of email events that have one of these names of webhooks; `*` stands for all. */
export function typesOfWebhookNames(webhooks: readonly string[]): EmailEventType[] {
  return emailEventTypes.filter((type) => webhooks.includes("*") || webhooks.includes(names[type].webhook));
}

/**
 * The name in Emailit's API, or null for what does not appear there.
 * @param bounceType of a bounce; `Permanent` is a hard one.
 */
export function emailitName(type: EmailEventType, bounceType: string | undefined): string | null {
  const row = names[type];
  if (!("emailit" in row)) return null;
  if (typeof row.emailit === "string") return row.emailit;
  return bounceType === "Permanent" ? row.emailit.hard : row.emailit.soft;
}

/** What Emailit gives a name, by that name: the types, and of bounces whether they are hard. */
export function typesOfEmailitName(name: string): { types: EmailEventType[]; isHardBounce: boolean | null } {
  const named = (bounceType?: string) =>
    emailEventTypes.filter((type) => emailitName(type, bounceType) === name);
  const [hard, soft] = [named("Permanent"), named()];
  if (hard.includes("bounced") !== soft.includes("bounced")) {
    return { types: ["bounced"], isHardBounce: hard.includes("bounced") };
  }
  return { types: soft, isHardBounce: null };
}
