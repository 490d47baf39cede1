import type { Email, Happening } from "../../bench/corpus/payloads.ts";
import { prefetch } from "../load/stories.ts";

/*
 * What must be known about an email, from the notifications about it: written from the documentation of the rules, so that
 * the product's own fold is compared with something else than itself.
 */

/** An event as it must be stored. @property discarded null: it counts. */
export type ExpectedEvent = { type: EventType; atMs: number; discarded: string | null };
type EventType = "sent" | "delivered" | "bounced" | "complained" | "opened" | "clicked";

/** An email to one recipient, as the table `activity` has it; times in milliseconds since 1970. */
export type ExpectedActivity = {
  current_status: string;
  delivered_at: number | null;
  bounced_at: number | null;
  complained_at: number | null;
  opened_first_at: number | null;
  opened_any_first_at: number | null;
  clicked_first_at: number | null;
  clicked_any_first_at: number | null;
  open_count: number;
  click_count: number;
  last_counted_open_at: number | null;
  recipient_certain: boolean;
};

export type ExpectedEmail = { recipient: string; activity: ExpectedActivity; events: ExpectedEvent[] };

/** A notification of an email; copies of one are no further events. */
type Fact = { recipient: string; happening: Happening; type: EventType; atMs: number };

/** @param happenings all that is known about the email, in any order, repeats included. */
export function expectedEmails(email: Email, happenings: readonly Happening[]): ExpectedEmail[] {
  const facts = distinct(happenings.flatMap((happening) => factsOf(email, happening)));
  const recipients = [...new Set(facts.map(({ recipient }) => recipient))];
  return recipients.map((recipient) =>
    emailTo(
      recipient,
      email,
      facts.filter((fact) => fact.recipient === recipient),
    ),
  );
}

/** Addresses that the facts put on the suppression list: of permanent bounces, and of complaints. */
export function suppressedBy(happening: Happening): string | null {
  if (happening.kind === "Bounce") return happening.isPermanent ? happening.recipient : null;
  return happening.kind === "Complaint" ? happening.recipient : null;
}

function factsOf({ sentAtMs, recipients }: Email, happening: Happening): Fact[] {
  const fact = (recipient: string, type: EventType, atMs: number): Fact => ({
    recipient,
    happening,
    type,
    atMs,
  });
  switch (happening.kind) {
    case "Send":
      return recipients.map((recipient) => fact(recipient, "sent", sentAtMs));
    case "Delivery":
      return happening.recipients.map((recipient) => fact(recipient, "delivered", happening.atMs));
    case "Bounce":
      return [fact(happening.recipient, "bounced", happening.atMs)];
    case "Complaint":
      return [fact(happening.recipient, "complained", happening.atMs)];
    case "Open":
      return [fact(recipients[0], "opened", happening.atMs)];
    case "Click":
      return [fact(recipients[0], "clicked", happening.atMs)];
    default:
      throw new Error(`unreachable: ${happening satisfies never}`);
  }
}

function distinct(facts: readonly Fact[]): Fact[] {
  const byName = new Map(facts.map((fact) => [`${fact.recipient} ${fact.type} ${fact.atMs}`, fact]));
  return [...byName.values()].toSorted((one, other) => one.atMs - other.atMs);
}

/** @param facts in order of time. */
function emailTo(recipient: string, { recipients }: Email, facts: readonly Fact[]): ExpectedEmail {
  const isOnly = recipients.length === 1;
  const timesOf = (type: EventType) => facts.flatMap((fact) => (fact.type === type ? [fact.atMs] : []));
  const deliveredAtMs = timesOf("delivered")[0] ?? null;
  const events = decide(facts, isOnly ? deliveredAtMs : null);
  const seen = (type: EventType, isCounted: (one: ExpectedEvent) => boolean) =>
    events.filter((one) => one.type === type && isCounted(one)).map(({ atMs }) => atMs);
  const counts = ({ discarded }: ExpectedEvent) => discarded === null;
  const isPersons = ({ discarded }: ExpectedEvent) => discarded !== "machine";
  const activity: ExpectedActivity = {
    current_status: statusOf(facts),
    delivered_at: deliveredAtMs,
    bounced_at: timesOf("bounced")[0] ?? null,
    complained_at: timesOf("complained")[0] ?? null,
    opened_first_at: seen("opened", isPersons)[0] ?? null,
    opened_any_first_at: timesOf("opened")[0] ?? null,
    clicked_first_at: seen("clicked", isPersons)[0] ?? null,
    clicked_any_first_at: timesOf("clicked")[0] ?? null,
    open_count: seen("opened", counts).length,
    click_count: seen("clicked", counts).length,
    last_counted_open_at: seen("opened", counts).at(-1) ?? null,
    recipient_certain: isOnly || (timesOf("opened").length === 0 && timesOf("clicked").length === 0),
  };
  return { recipient, activity, events };
}

/** From the lowest to the highest; the highest ever reached stands. */
const ranked = ["sent", "bounced_soft", "delivered", "bounced_hard", "complained"];

function statusOf(facts: readonly Fact[]): string {
  const ranks = facts.map(({ type, happening }) => {
    if (happening.kind === "Bounce")
      return ranked.indexOf(happening.isPermanent ? "bounced_hard" : "bounced_soft");
    // Whatever SES reports, it has sent the email.
    return Math.max(0, ranked.indexOf(type));
  });
  return ranked[Math.max(...ranks)] ?? "sent";
}

const windowMs = 20 * 60_000;
const justDeliveredMs = 2_000;
const doubleClickMs = 1_000;

/** @param deliveredAtMs null if the delivery says nothing about the one who opens. */
function decide(facts: readonly Fact[], deliveredAtMs: number | null): ExpectedEvent[] {
  let lastOpenMs = Number.NEGATIVE_INFINITY;
  const lastClickMs = new Map<string, number>();
  const openReason = (atMs: number) => {
    if (atMs - lastOpenMs < windowMs) return "open_window";
    lastOpenMs = atMs;
    return null;
  };
  const clickReason = (atMs: number, link: string) => {
    if (atMs - (lastClickMs.get(link) ?? Number.NEGATIVE_INFINITY) < doubleClickMs) return "repeat";
    lastClickMs.set(link, atMs);
    return null;
  };
  const reason = ({ happening, atMs }: Fact) => {
    if (happening.kind !== "Open" && happening.kind !== "Click") return null;
    const isTooSoon = deliveredAtMs !== null && atMs - deliveredAtMs <= justDeliveredMs;
    if (isTooSoon || happening.userAgent === prefetch) return "machine";
    return happening.kind === "Open" ? openReason(atMs) : clickReason(atMs, happening.link);
  };
  return facts.map((fact) => ({ type: fact.type, atMs: fact.atMs, discarded: reason(fact) }));
}
