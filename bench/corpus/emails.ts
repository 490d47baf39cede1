import type { Email, Happening } from "./payloads.ts";
import { type Random, seededRandom } from "./random.ts";

/** A notification before it is published. */
export type Unpublished = { email: Email; happening: Happening };

/**
 * A hundred notifications: 35 Send, 35 Delivery, 20 Open, 7 Click, 2 Bounce and 1 Complaint, of 35 emails, two of which
 * have several recipients.
 */
export const notificationsInBlock = 100;
const emailsInBlock = 35;
/** A shop that sends ten emails a second. */
const emailEveryMs = 100;

const browsers = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
  "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
] as const;
/** Apple's Mail Privacy Protection. */
export const prefetch = "Mozilla/5.0";
const domains = ["shop.example.com", "news.example.com", "mail.example.net", "example.org"] as const;
const types = ["receipt", "newsletter", "reminder", "welcome"] as const;

/** What `block` reports; it depends on nothing but the seed behind `random`. */
export function blockOf(block: number, startMs: number, random: Random): Unpublished[] {
  const emails = Array.from({ length: emailsInBlock }, (_, place) =>
    emailOf(block * emailsInBlock + place, place, startMs, random),
  );
  return emails.flatMap((email, place) =>
    happeningsOf(email, place, random).map((happening) => ({ email, happening })),
  );
}

function emailOf(number: number, place: number, startMs: number, random: Random): Email {
  const sentAtMs = startMs + number * emailEveryMs;
  const recipient = () => `reader.${random.below(50_000)}@${random.pick(["example.com", "example.net"])}`;
  // Different domains of their own, so that the recipients of an email differ.
  const others = ["one", "two"].slice(0, recipientsAt(place) - 1).map((host) => `${host}.${recipient()}`);
  return {
    messageId: `0102${sentAtMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`,
    sentAtMs,
    recipients: [recipient(), ...others],
    senderDomain: random.pick(domains),
    orderNumber: 100_000 + number,
    emailType: random.pick(types),
    campaignId: campaignOf(number),
  };
}

/** A UUID that some thousand emails share. */
function campaignOf(number: number): string {
  return seededRandom(Math.floor(number / 5_000)).uuid();
}

function recipientsAt(place: number): number {
  if (place === 0) return 3;
  return place === 1 ? 2 : 1;
}

const minuteMs = 60_000;

/** @param place of the email in its block; it decides what happens, so that the mix is exact. */
function happeningsOf(email: Email, place: number, random: Random): Happening[] {
  const { sentAtMs, recipients } = email;
  const [recipient] = recipients;
  if (place >= 33) {
    const atMs = sentAtMs + 700 + random.below(2_000);
    const feedbackId = feedbackIdOf(atMs, random);
    return [{ kind: "Send" }, { kind: "Bounce", atMs, recipient, isPermanent: place === 33, feedbackId }];
  }
  // Later than two seconds after the delivery, and at least half a minute apart: a person opens and clicks.
  const opens = openPlan(place).map(({ minute, isMachine }): Happening => {
    const atMs = sentAtMs + minute * minuteMs + random.below(minuteMs / 2) + minuteMs / 2;
    return { kind: "Open", atMs, userAgent: isMachine ? prefetch : random.pick(browsers), ...from(random) };
  });
  const clicks = Array.from({ length: clicksAt(place) }, (_, number): Happening => {
    const atMs = sentAtMs + (2 + number) * minuteMs + random.below(minuteMs / 2);
    const link = `https://${email.senderDomain}/orders/${email.orderNumber}?step=${number}`;
    return { kind: "Click", atMs, userAgent: random.pick(browsers), ...from(random), link };
  });
  return [
    { kind: "Send" },
    ...deliveries(email, random),
    ...opens,
    ...clicks,
    ...complaints(email, place, random),
  ];
}

/** One Delivery for each recipient, except that the first two of three share one. */
function deliveries({ sentAtMs, recipients }: Email, random: Random): Happening[] {
  const lists =
    recipients.length === 3 ? [recipients.slice(0, 2), recipients.slice(2)] : recipients.map((one) => [one]);
  return lists.map((list) => ({
    kind: "Delivery",
    atMs: sentAtMs + 500 + random.below(4_000),
    recipients: list,
  }));
}

type PlannedOpen = { minute: number; isMachine: boolean };

/** Twenty in each block; a second open counts if it is 20 minutes after the first. */
function openPlan(place: number): PlannedOpen[] {
  const at = (...minutes: number[]) => minutes.map((minute) => ({ minute, isMachine: false }));
  if (place === 1 || place > 16) return [];
  if (place >= 10 && place <= 12) return at(1, 5);
  if (place === 13) return at(1, 25);
  if (place === 14 || place === 15) return [{ minute: 0, isMachine: true }];
  return at(place);
}

/** Seven in each block, one of them by somebody whose mail program shows no images. */
function clicksAt(place: number): number {
  if (place === 10) return 2;
  return (place >= 2 && place <= 5) || place === 20 ? 1 : 0;
}

function complaints(
  { sentAtMs, recipients: [recipient] }: Email,
  place: number,
  random: Random,
): Happening[] {
  if (place !== 21) return [];
  const atMs = sentAtMs + 10 * minuteMs + random.below(10 * minuteMs);
  return [{ kind: "Complaint", atMs, recipient, feedbackId: feedbackIdOf(atMs, random) }];
}

function feedbackIdOf(atMs: number, random: Random): string {
  return `0102${atMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`;
}

function from(random: Random): { ipAddress: string } {
  return { ipAddress: `192.0.2.${random.below(250)}` };
}
