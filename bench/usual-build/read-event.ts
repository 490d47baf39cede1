import { z } from "zod";

/** One event of one email to one recipient, as the usual build stores it. */
export type UsualEvent = {
  messageId: string;
  recipient: string;
  type: string;
  occurredAt: string;
  detail: object;
  status: string;
  rank: number;
  suppression: string | null;
  mail: z.infer<typeof Mail>;
};

const Mail = z.object({
  timestamp: z.string(),
  messageId: z.string(),
  source: z.string(),
  destination: z.array(z.string()).min(1),
  commonHeaders: z
    .object({ subject: z.string().optional(), from: z.array(z.string()).optional() })
    .optional(),
  tags: z.record(z.string(), z.array(z.string())).optional(),
});
const detail = <Shape extends z.ZodRawShape>(shape: Shape) =>
  z.looseObject({ timestamp: z.string(), ...shape });
const address = z.object({ emailAddress: z.string() });

const SesEvent = z.discriminatedUnion("eventType", [
  z.object({ eventType: z.literal("Send"), mail: Mail }),
  z.object({
    eventType: z.literal("Delivery"),
    mail: Mail,
    delivery: detail({ recipients: z.array(z.string()) }),
  }),
  z.object({ eventType: z.literal("Open"), mail: Mail, open: detail({}) }),
  z.object({ eventType: z.literal("Click"), mail: Mail, click: detail({}) }),
  z.object({
    eventType: z.literal("Bounce"),
    mail: Mail,
    bounce: detail({ bounceType: z.string(), bouncedRecipients: z.array(address) }),
  }),
  z.object({
    eventType: z.literal("Complaint"),
    mail: Mail,
    complaint: detail({ complainedRecipients: z.array(address) }),
  }),
]);

const statuses = { sent: 0, bounced_soft: 1, delivered: 2, bounced_hard: 3, complained: 4 } as const;

/** Reads the text of `Message`: one event for each recipient that it concerns. */
export function readUsualEvents(message: string): UsualEvent[] {
  const event = SesEvent.parse(JSON.parse(message));
  const { mail } = event;
  const of = (recipients: readonly string[], status: keyof typeof statuses, what: { timestamp: string }) =>
    recipients.map((recipient) => ({
      messageId: mail.messageId,
      recipient: recipient.toLowerCase(),
      type: event.eventType,
      occurredAt: what.timestamp,
      detail: what,
      status,
      rank: statuses[status],
      suppression: status === "bounced_hard" || status === "complained" ? status : null,
      mail,
    }));
  switch (event.eventType) {
    case "Send":
      return of(mail.destination, "sent", { timestamp: mail.timestamp });
    case "Delivery":
      return of(event.delivery.recipients, "delivered", event.delivery);
    case "Open":
      return of(mail.destination.slice(0, 1), "sent", event.open);
    case "Click":
      return of(mail.destination.slice(0, 1), "sent", event.click);
    case "Bounce": {
      const isHard = event.bounce.bounceType === "Permanent";
      const addresses = event.bounce.bouncedRecipients.map(({ emailAddress }) => emailAddress);
      return of(addresses, isHard ? "bounced_hard" : "bounced_soft", event.bounce);
    }
    case "Complaint": {
      const addresses = event.complaint.complainedRecipients.map(({ emailAddress }) => emailAddress);
      return of(addresses, "complained", event.complaint);
    }
    default:
      throw new Error(`unreachable: ${event satisfies never}`);
  }
}
