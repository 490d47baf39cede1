import { z } from "zod";
import { type KnownStatus, knownStatus } from "./account-status.ts";
import { type EmailEvent, readEvents } from "./email-event.ts";
import { type MailFacts, mailFacts } from "./mail-facts.ts";
import { parseSesNotification } from "./ses-notification.ts";

/**
 * What a journal entry contains.
 * @property unreadable number of list entries that were left out.
 */
export type Interpretation =
  | { kind: "events"; events: { facts: MailFacts; event: EmailEvent }[]; unreadable: number }
  | { kind: "account_status"; status: KnownStatus }
  | { kind: "ignored" }
  | { kind: "invalid"; reason: string };

const Envelope = z.object({ Message: z.string() });

/**
 * Reads a body of the journal, a verified SNS envelope, as email events. If it cannot be read, or a rule throws, it
 * is invalid: one notification must not block the others.
 * @param snsTimestamp the signed time of publishing.
 */
export function interpretNotification(projectId: string, body: string, snsTimestamp: Date): Interpretation {
  try {
    return interpret(projectId, body, snsTimestamp);
  } catch (error) {
    // An error's message may quote the payload, which a reason must not hold.
    const kind = error instanceof Error ? error.name : typeof error;
    return { kind: "invalid", reason: `It cannot be interpreted (${kind})` };
  }
}

function interpret(projectId: string, body: string, snsTimestamp: Date): Interpretation {
  const notification = parseSesNotification(Envelope.parse(JSON.parse(body)).Message);
  if (notification.kind === "account_status") {
    return { ...notification, status: knownStatus(projectId, notification.status, snsTimestamp) };
  }
  if (notification.kind !== "event") return notification;
  const read = readEvents(projectId, notification.event, notification.publishedAt ?? snsTimestamp);
  if (read.kind === "invalid") return read;
  const events = read.events.map(({ recipient, isPrimary, event }) => ({
    facts: mailFacts(notification.event.mail, recipient, isPrimary),
    event,
  }));
  return { kind: "events", events, unreadable: read.unreadable };
}
