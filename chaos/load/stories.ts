import type { Email, Happening } from "../../bench/corpus/payloads.ts";
import type { Random } from "../../bench/corpus/random.ts";

/** An email, and everything that happens to it. */
export type Story = { email: Email; happenings: readonly Happening[] };

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** Everything has happened when it is reported: no time lies ahead of the clock. */
const agoMs = 5 * hourMs;

const readers = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
] as const;
/** Apple's prefetch. */
export const prefetch = "Mozilla/5.0";
/** Few, so that the same addresses are suppressed from several transactions at the same time. */
const addresses = 300;

/**
 * The next email of a shop, with what the rules find hard: opens on both sides of the window's end, clicks within a second,
 * machines before and just after the delivery, bounces after deliveries, several recipients.
 * @param number counts the emails; no two have the same.
 */
export function nextStory(number: number, random: Random): Story {
  const sentAtMs = Date.now() - agoMs - random.below(hourMs);
  const email: Email = {
    messageId: `0102${sentAtMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`,
    sentAtMs,
    recipients: recipientsOf(random),
    senderDomain: random.pick(["shop.example.com", "news.example.com"]),
    orderNumber: number,
    emailType: random.pick(["receipt", "newsletter"]),
    campaignId: "7a4b6d0e-1f2c-4d3e-a5b6-c7d8e9f0a1b2",
  };
  return { email, happenings: [{ kind: "Send" }, ...afterSending(email, random)] };
}

function recipientsOf(random: Random): Email["recipients"] {
  const recipient = (host: string) => `reader.${random.below(addresses)}@${host}`;
  if (random.below(8) > 0) return [recipient("example.com")];
  return [recipient("example.com"), recipient("example.net"), recipient("example.org")];
}

function afterSending(email: Email, random: Random): Happening[] {
  const deliveredAtMs = email.sentAtMs + 500 + random.below(5_000);
  const fate = random.below(100);
  // Some are never delivered, or nobody has heard of it.
  const deliveries = fate < 88 ? deliveriesOf(email, deliveredAtMs) : [];
  const bounces = fate >= 82 && fate < 94 ? [bounceOf(email, deliveredAtMs, random)] : [];
  const complaints = fate < 3 ? [complaintOf(email, deliveredAtMs, random)] : [];
  const seen =
    fate < 60 ? [...opensOf(deliveredAtMs, random), ...clicksOf(email, deliveredAtMs, random)] : [];
  return [...deliveries, ...bounces, ...complaints, ...seen];
}

function deliveriesOf({ recipients }: Email, atMs: number): Happening[] {
  const [first, ...others] = recipients;
  const one: Happening = { kind: "Delivery", atMs, recipients: [first] };
  return others.length === 0 ? [one] : [one, { kind: "Delivery", atMs: atMs + 700, recipients: others }];
}

function bounceOf({ recipients }: Email, afterMs: number, random: Random): Happening {
  const atMs = afterMs + random.below(hourMs);
  const recipient = recipients[random.below(recipients.length)] ?? recipients[0];
  return {
    kind: "Bounce",
    atMs,
    recipient,
    isPermanent: random.below(3) > 0,
    feedbackId: feedbackId(atMs, random),
  };
}

function complaintOf({ recipients: [recipient] }: Email, afterMs: number, random: Random): Happening {
  const atMs = afterMs + minuteMs + random.below(hourMs);
  return { kind: "Complaint", atMs, recipient, feedbackId: feedbackId(atMs, random) };
}

/** Milliseconds after the delivery, around the ends of windows that begin with any of them. */
const openTimes = [
  -1_500,
  800,
  3_000,
  2 * minuteMs,
  22 * minuteMs - 1,
  22 * minuteMs,
  22 * minuteMs + 1,
  30 * minuteMs,
  42 * minuteMs,
  55 * minuteMs,
] as const;

function opensOf(deliveredAtMs: number, random: Random): Happening[] {
  return openTimes
    .filter(() => random.below(3) === 0)
    .map((afterMs) => ({
      kind: "Open",
      atMs: deliveredAtMs + afterMs,
      userAgent: random.below(6) === 0 ? prefetch : random.pick(readers),
      ipAddress: `192.0.2.${random.below(250)}`,
    }));
}

/** Two on the same link within a second are one; on another link, or later, they are two. */
function clicksOf({ senderDomain, orderNumber }: Email, deliveredAtMs: number, random: Random): Happening[] {
  if (random.below(3) > 0) return [];
  const [userAgent, ipAddress] = [random.pick(readers), `192.0.2.${random.below(250)}`];
  const link = (name: string) => `https://${senderDomain}/orders/${orderNumber}/${name}`;
  const times = [0, 400, 999, 1_000, 2_000].filter(() => random.below(2) === 0);
  const firstMs = deliveredAtMs + 3 * minuteMs;
  return times.map((afterMs) => ({
    kind: "Click",
    atMs: firstMs + afterMs,
    userAgent,
    ipAddress,
    link: link(random.pick(["all", "details"])),
  }));
}

function feedbackId(atMs: number, random: Random): string {
  return `0102${atMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`;
}
