import type { AcceptedNotification } from "../../src/storage/journal.ts";
import { notification } from "./notification.ts";
import { asMessage } from "./ses.ts";

/*
 * What happens to an email of the week of ses-week.ts, as Amazon SES says it.
 */

export type WeekNotification = AcceptedNotification & {
  /** The events that it tells of, as `type messageId recipient number`; a repeated one has the same name. */
  tells: string[];
};

export type Random = {
  /** In [0, 1). */
  next(): number;
  /** A whole number in [0, limit). */
  below(limit: number): number;
  chance(share: number): boolean;
  pick<Item>(items: readonly Item[]): Item;
  uuid(): string;
};

export type Email = {
  number: number;
  messageId: string;
  sentMs: number;
  to: string[];
  tags: Record<string, string[]>;
};
export type Week = {
  random: Random;
  notifications: WeekNotification[];
  deliveries: { email: Email; atMs: number }[];
  /** Of occurrences, so that each has a name. */
  count: number;
};
type Format = "event" | "feedback";
/** One account of an occurrence; the two formats may leave out different fields. */
export type Account = { format: Format; detail: Record<string, unknown> };
type Occurrence = {
  /** As SES writes it, and as the product calls it. */
  type: string;
  told: string;
  key: string;
  atMs: number;
  concerns: string[];
  accounts: Account[];
};

export const second = 1_000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

/** The generator mulberry32. */
export function seededRandom(seed: number): Random {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  const hex8 = () =>
    below(2 ** 32)
      .toString(16)
      .padStart(8, "0");
  return {
    next,
    below,
    chance: (share) => next() < share,
    pick: (items) => items[below(items.length)] as (typeof items)[number],
    uuid: () => {
      const [one, two, three, four] = [hex8(), hex8(), hex8(), hex8()];
      return `${one}-${two.slice(4)}-4${two.slice(1, 4)}-a${three.slice(5)}-${three.slice(1, 5)}${four}`;
    },
  };
}

export type Plain = Omit<Occurrence, "concerns"> & { concerns?: string[] };

export function event(
  type: string,
  told: string,
  atMs: number,
  detail: Account["detail"],
  key?: string,
): Plain {
  return { type, told, key: key ?? type.toLowerCase(), atMs, accounts: [{ format: "event", detail }] };
}

/** Event publishing, identity feedback, or both. */
export function bothFormats(
  random: Random,
  detail: Account["detail"],
  lessDetail: Account["detail"],
): Account[] {
  const byEvent: Account = { format: "event", detail };
  const byFeedback: Account = { format: "feedback", detail: lessDetail };
  const share = random.next();
  if (share < 0.4) return [byEvent];
  if (share < 0.5) return [byFeedback];
  // Fields may be missing from either format.
  if (share < 0.75) return [byEvent, byFeedback];
  return [
    { format: "event", detail: lessDetail },
    { format: "feedback", detail },
  ];
}

/** Publishes an occurrence, in each of its accounts; one in twelve again, under new MessageIds. */
export function occur(
  week: Week,
  email: Email,
  occurrence: Plain,
  otherTold = occurrence.told,
  others: string[] = [],
): void {
  const { random } = week;
  const number = week.count++;
  const name = (told: string) => (address: string) =>
    `${told} ${email.messageId} ${address.toLowerCase()} ${number}`;
  const { concerns = email.to, told, atMs, type, key } = occurrence;
  const tells = [...concerns.map(name(told)), ...others.map(name(otherTold))];
  for (const account of occurrence.accounts) {
    const body = JSON.stringify({ Message: asMessage(payloadOf(email, type, key, account)) });
    const times = random.chance(1 / 12) ? 2 + random.below(3) : 1;
    for (let time = 0; time < times; time++) {
      const publishedMs = atMs + 100 + random.below(time === 0 ? 3 * second : 10 * minute);
      const sent = { sns_message_id: random.uuid(), sns_timestamp: new Date(publishedMs), body };
      week.notifications.push({ ...notification(sent), tells });
    }
  }
}

function payloadOf(email: Email, type: string, key: string, { format, detail }: Account): object {
  const { messageId, sentMs, to: destination, tags } = email;
  const mail = { messageId, destination };
  if (format === "feedback") {
    // This format has no tags, and here no headers and no milliseconds.
    const timestamp = `${iso(sentMs).slice(0, 19)}Z`;
    return {
      notificationType: type,
      mail: { ...mail, timestamp, source: "shop@example.org" },
      [key]: detail,
    };
  }
  const from = ["Shop <shop@example.org>"];
  const commonHeaders = { from, to: destination, subject: `Offer ${email.number}` };
  return {
    eventType: type,
    mail: { ...mail, timestamp: iso(sentMs), source: from[0], commonHeaders, tags },
    [key]: detail,
  };
}

export function bounceDetail(
  random: Random,
  atMs: number,
  bounceType: string,
  bounceSubType: string,
  list: object[],
) {
  return {
    feedbackId: feedbackId(random, atMs),
    bounceType,
    bounceSubType,
    bouncedRecipients: list,
    timestamp: iso(atMs),
    reportingMTA: "dns; a8-86.smtp-out.amazonses.com",
  };
}

export function dsn(emailAddress: string, action: "failed" | "delayed"): object {
  return action === "failed"
    ? { emailAddress, action, status: "5.1.1", diagnosticCode: "smtp; 550 5.1.1 user unknown" }
    : { emailAddress, action, status: "4.0.0" };
}

export function feedbackId(random: Random, atMs: number): string {
  return `0100${atMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`;
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}

export function bounce(
  week: Week,
  email: Email,
  atMs: number,
  type: string,
  subtype: string,
  action: "failed" | "delayed",
): void {
  const recipients = email.to.map((address) => dsn(address, action));
  const detail = bounceDetail(week.random, atMs, type, subtype, recipients);
  // Without its delivery status a Transient/General bounce looks like an automatic reply until the other account comes.
  const isBare = action === "failed" && week.random.chance(0.5);
  const lessDetail = {
    ...detail,
    reportingMTA: undefined,
    bouncedRecipients: isBare ? email.to.map((emailAddress) => ({ emailAddress })) : recipients,
  };
  const accounts = bothFormats(week.random, detail, lessDetail);
  const told = action === "failed" ? "bounced" : "delayed";
  occur(week, email, { ...event("Bounce", told, atMs, detail), accounts });
}
