import { type EmailEventType, emailEventTypes } from "../../../domain/mail/event-names.ts";

/** Emailit's name of each type of event; null: Emailit has none, and does not show it. */
const names: Readonly<Record<EmailEventType, string | { hard: string; soft: string } | null>> = {
  sent: null,
  delivered: "email.delivery.sent",
  delayed: "email.delivery.delayed",
  bounced: { hard: "email.delivery.hardfail", soft: "email.delivery.softfail" },
  complained: null,
  rejected: "email.delivery.error",
  rendering_failed: "email.delivery.error",
  opened: "email.loaded",
  clicked: "email.link.clicked",
  subscription_changed: null,
  suppressed: "email.delivery.held",
};

export const namedTypes = emailEventTypes.filter((type) => names[type] !== null);

/** @param bounceType of a bounce; `Permanent` is a hard one. */
export function emailitName(type: EmailEventType, bounceType: string | undefined): string | null {
  const name = names[type];
  if (name === null || typeof name === "string") return name;
  return bounceType === "Permanent" ? name.hard : name.soft;
}

/** The types with one of Emailit's names, and whether it is the name of hard bounces; null: of no bounces. */
export function typesOfEmailitName(name: string): { types: EmailEventType[]; isHardBounce: boolean | null } {
  const named = (bounceType?: string) =>
    emailEventTypes.filter((type) => emailitName(type, bounceType) === name);
  const [hard, soft] = [named("Permanent"), named()];
  if (hard.includes("bounced") !== soft.includes("bounced")) {
    return { types: ["bounced"], isHardBounce: hard.includes("bounced") };
  }
  return { types: soft, isHardBounce: null };
}
