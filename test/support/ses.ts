export type SesPayload = Record<string, unknown> & { mail: Record<string, unknown> };

export type SesOptions = {
  messageId?: string;
  to?: string[];
  /** Seconds after the mail was sent. */
  after?: number;
  detail?: Record<string, unknown>;
  mail?: Record<string, unknown>;
};

const sentAtMs = Date.parse("2026-11-20T10:00:00.000Z");
const untimed = ["Send", "Reject", "Rendering Failure"];
const keys: Record<string, string> = { "Rendering Failure": "failure", DeliveryDelay: "deliveryDelay" };

/** The time so many seconds after the mail of `sesEvent` was sent. */
export function timeAfter(seconds: number): string {
  return new Date(sentAtMs + seconds * 1000).toISOString();
}

/** An SES event as event publishing sends it, with the least that AWS always sends. */
export function sesEvent(type: string, options: SesOptions = {}): SesPayload {
  const { messageId = "message-1", to = ["jane@example.com"], after = 0, detail = {}, mail = {} } = options;
  return {
    eventType: type,
    mail: {
      timestamp: timeAfter(0),
      messageId,
      source: "Shop <shop@example.org>",
      destination: to,
      ...mail,
    },
    [keys[type] ?? type.toLowerCase()]: {
      ...(!untimed.includes(type) && { timestamp: timeAfter(after) }),
      ...listed(type, to),
      ...detail,
    },
  };
}

function listed(type: string, to: string[]): Record<string, unknown> {
  const recipients = to.map((emailAddress) => ({ emailAddress }));
  if (type === "Delivery") return { recipients: to };
  if (type === "Bounce")
    return { bounceType: "Permanent", bounceSubType: "General", bouncedRecipients: recipients };
  if (type === "Complaint") return { complainedRecipients: recipients };
  if (type === "DeliveryDelay") return { delayType: "General", delayedRecipients: recipients };
  return {};
}

/** What SES puts into `Message`: compact JSON and a newline. */
export function asMessage(payload: unknown): string {
  return `${JSON.stringify(payload)}\n`;
}
