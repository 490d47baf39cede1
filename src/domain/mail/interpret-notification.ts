import { z } from "zod";
import { isObject } from "../json.ts";
import { type KnownStatus, knownStatus } from "./account-status.ts";
import { type EmailEvent, readEvents } from "./email-event.ts";
import { type MailFacts, mailFacts, sharedFacts } from "./mail-facts.ts";
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
  const notification = parseSesNotification(messageIn(body));
  if (notification.kind === "account_status") {
    return { ...notification, status: knownStatus(projectId, notification.status, snsTimestamp) };
  }
  if (notification.kind !== "event") return notification;
  const { mail } = notification.event;
  const read = readEvents(projectId, notification.event, notification.publishedAt ?? snsTimestamp);
  if (read.kind === "invalid") return read;
  const shared = sharedFacts(mail);
  const events = read.events.map(({ recipient, isPrimary, event }) => ({
    facts: mailFacts(mail, recipient, isPrimary, shared),
    event,
  }));
  return { kind: "events", events, unreadable: read.unreadable };
}

/** @throws an error that quotes the body. */
function messageIn(body: string): string {
  const envelope: unknown = JSON.parse(body);
  const message = isObject(envelope) ? envelope["Message"] : undefined;
  return typeof message === "string" ? message : Envelope.parse(envelope).Message;
}
