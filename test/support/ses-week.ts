import { createHash } from "node:crypto";
import type { SesPayload } from "./ses.ts";

/*
 * A week of mail as SES tells of it: 3,000 emails, exactly 20,000 notifications, the same ones in every run.
 */

const emails = 3_000;
export const weekSize = 20_000;
const startMs = Date.parse("2026-11-02T00:00:00.000Z");
const minute = 60_000;
const browser = (version: number) =>
  `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0 Safari/537.36`;
const gmailProxy =
  "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const bot = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/** A payload, and when SNS publishes it. */
export type WeekNotification = { payload: SesPayload; publishedMs: number };

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** In order of publishing. */
export function sesWeek(seed: number): WeekNotification[] {
  const random = chance(seed);
  const lives = Array.from({ length: emails }, (_, index) => life(index, random));
  const all = lives.flat();
  // Filled up with opens of people who read again and again.
  while (all.length < weekSize) {
    const [first] = lives[Math.floor(random() * emails)] ?? [];
    if (first)
      all.push(
        opened(first.payload.mail, first.publishedMs + minute + random() * 72 * 60 * minute, browser(97)),
      );
  }
  return all.slice(0, weekSize).toSorted((one, other) => one.publishedMs - other.publishedMs);
}

type Mail = SesPayload["mail"];

function life(index: number, random: () => number): WeekNotification[] {
  const sentMs = Math.floor(startMs + random() * 6 * 24 * 60 * minute);
  const is = (share: number) => random() < share;
  const mail = mailOf(index, sentMs, random);
  const [primary = ""] = mail["destination"] as string[];
  const told = [published("Send", mail, sentMs, { send: {} })];
  if (is(0.01)) return [...told, published("Reject", mail, sentMs, { reject: { reason: "Bad content" } })];
  if (is(0.05)) told.push(delayed(mail, sentMs + 30_000));
  if (is(0.06)) return [...told, ...bounced(mail, primary, sentMs + 2_000, ["Permanent", "General"], random)];
  const deliveredMs = sentMs + 1_000 + Math.floor(random() * 5_000);
  told.push(delivered(mail, deliveredMs));
  if (is(0.2)) told.push(delivered(mail, deliveredMs, "notificationType"));
  if (is(0.03)) told.push(...bounced(mail, primary, deliveredMs + minute, ["Transient", "General"], random));
  if (is(0.02))
    told.push(...bounced(mail, primary, deliveredMs + 60 * minute, ["Permanent", "NoEmail"], random));
  if (is(0.15)) told.push(opened(mail, deliveredMs + 500, "Mozilla/5.0"));
  if (is(0.05))
    for (const part of [0, 1, 2]) told.push(clicked(mail, deliveredMs + 700 * part, browser(79), part));
  if (is(0.6)) told.push(...reading(mail, deliveredMs + minute, random));
  if (is(0.03)) told.push(...complained(mail, deliveredMs + 90 * minute, random));
  return told;
}

function mailOf(index: number, sentMs: number, random: () => number): Mail {
  const digest = createHash("sha256").update(`mail ${index}`).digest("hex");
  const messageId = `0100${sentMs.toString(16).padStart(12, "0")}-${digest.slice(0, 8)}-${digest.slice(8, 12)}-000000`;
  const person = () => `Person${Math.floor(random() * 900)}@Example${Math.floor(random() * 20)}.com`;
  const several = random() < 0.06 ? [person(), person()] : [];
  const test = random() < 0.02 ? ["bounce@simulator.amazonses.com"] : [];
  return {
    timestamp: new Date(sentMs).toISOString(),
    messageId,
    source: "Shop <hello@shop.example.org>",
    destination: test.length > 0 ? test : [...new Set([person(), ...several])],
    commonHeaders: { from: ["Shop <hello@shop.example.org>"], subject: `Letter ${index % 40}` },
    tags: { "ses:configuration-set": ["shop"], email_type: [index % 3 === 0 ? "receipt" : "letter"] },
  };
}

/** Identity feedback has no tags, and SES adds one on the way. */
function published(
  type: string,
  mail: Mail,
  atMs: number,
  detail: object,
  format: "eventType" | "notificationType" = "eventType",
): WeekNotification {
  const { tags, ...bare } = mail;
  const onTheWay = type === "Send" ? {} : { "ses:outgoing-ip": ["198.51.100.25"] };
  const told = format === "eventType" ? { ...bare, tags: { ...(tags as object), ...onTheWay } } : bare;
  // Without commonHeaders, as a templated Send is.
  const { commonHeaders: _, ...headless } = told;
  const isHeadless = type === "Send";
  return {
    publishedMs: Math.floor(atMs),
    payload: { [format]: type, mail: isHeadless ? headless : told, ...detail },
  };
}

const iso = (ms: number) => new Date(Math.floor(ms)).toISOString();

function delivered(
  mail: Mail,
  atMs: number,
  format: "eventType" | "notificationType" = "eventType",
): WeekNotification {
  const more = format === "eventType" ? { processingTimeMillis: 700 } : { remoteMtaIp: "192.0.2.9" };
  const delivery = { timestamp: iso(atMs), recipients: mail["destination"], smtpResponse: "250 ok", ...more };
  return published("Delivery", mail, atMs, { delivery }, format);
}

function delayed(mail: Mail, atMs: number): WeekNotification {
  const delayedRecipients = (mail["destination"] as string[]).map((emailAddress) => ({
    emailAddress,
    status: "4.4.1",
  }));
  return published("DeliveryDelay", mail, atMs, {
    deliveryDelay: { timestamp: iso(atMs), delayType: "MailboxFull", delayedRecipients },
  });
}

/** In both formats half of the time, which leave out different fields. */
function bounced(
  mail: Mail,
  emailAddress: string,
  atMs: number,
  [bounceType, bounceSubType]: [string, string],
  random: () => number,
): WeekNotification[] {
  const feedbackId = `${String(mail["messageId"]).slice(0, 30)}-${Math.floor(random() * 1e9)}`;
  const isReply = bounceType === "Transient";
  const dsn = isReply ? {} : { action: "failed", status: "5.1.1", diagnosticCode: "smtp; 550 5.1.1 unknown" };
  const bounce = { bounceType, bounceSubType, timestamp: iso(atMs), feedbackId };
  const full = { ...bounce, bouncedRecipients: [{ emailAddress, ...dsn }] };
  const lean = {
    ...bounce,
    bouncedRecipients: [{ emailAddress: emailAddress.toLowerCase() }],
    reportingMTA: "dns; a",
  };
  return [
    published("Bounce", mail, atMs, { bounce: full }),
    ...(random() < 0.5 ? [published("Bounce", mail, atMs + 40, { bounce: lean }, "notificationType")] : []),
  ];
}

function complained(mail: Mail, atMs: number, random: () => number): WeekNotification[] {
  const complaint = {
    timestamp: iso(atMs),
    feedbackId: `${String(mail["messageId"]).slice(0, 30)}-c`,
    complainedRecipients: (mail["destination"] as string[]).map((emailAddress) => ({ emailAddress })),
    complaintFeedbackType: random() < 0.2 ? "not-spam" : "abuse",
  };
  return [published("Complaint", mail, atMs, { complaint })];
}

function opened(mail: Mail, atMs: number, userAgent: string): WeekNotification {
  return published("Open", mail, atMs, { open: { timestamp: iso(atMs), ipAddress: "192.0.2.1", userAgent } });
}

function clicked(mail: Mail, atMs: number, userAgent: string, link: number): WeekNotification {
  const click = {
    timestamp: iso(atMs),
    ipAddress: "192.0.2.1",
    userAgent,
    link: `https://shop.example.org/${link}`,
  };
  return published("Click", mail, atMs, { click });
}

/** Opens in bursts around the edges of the window, and clicks. */
function reading(mail: Mail, fromMs: number, random: () => number): WeekNotification[] {
  const agent = [browser(97), gmailProxy, bot][Math.floor(random() * 2.2)] ?? gmailProxy;
  const opens = [0, 0.5, 8, 19.9, 20, 20.1, 41].filter(() => random() < 0.6);
  return [
    ...opens.map((minutes) => opened(mail, fromMs + minutes * minute, agent)),
    ...(random() < 0.4 ? [clicked(mail, fromMs + 30_000, browser(97), 1)] : []),
  ];
}
