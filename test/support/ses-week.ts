import {
  bothFormats,
  bounce,
  bounceDetail,
  day,
  dsn,
  type Email,
  event,
  feedbackId,
  hour,
  iso,
  minute,
  occur,
  type Random,
  second,
  seededRandom,
  type Week,
  type WeekNotification,
} from "./ses-occurrence.ts";

/*
 * A week of what Amazon SES says of a shop's email, the same from the same seed. It is composed from
 * facts/ses-sns.md; shares are far from those of a real shop, so that what is rare there is frequent here.
 */

export const weekSize = { emails: 3_000, notifications: 20_000 };

// The events of this week lie in two months, and so in two partitions.
const startMs = Date.parse("2026-11-27T00:00:00.000Z");
/** In the order in which SNS publishes them. */
export function sesWeek(seed: number): WeekNotification[] {
  const week: Week = { random: seededRandom(seed), notifications: [], deliveries: [], count: 0 };
  for (let number = 0; number < weekSize.emails; number++) liveThrough(week, makeEmail(week.random, number));
  while (week.notifications.length < weekSize.notifications) visit(week);
  return week.notifications
    .slice(0, weekSize.notifications)
    .toSorted(
      (one, other) =>
        one.sns_timestamp.getTime() - other.sns_timestamp.getTime() ||
        (one.sns_message_id < other.sns_message_id ? -1 : 1),
    );
}

function makeEmail(random: Random, number: number): Email {
  const sentMs = startMs + random.below(7 * day);
  return {
    number,
    messageId: `0100${sentMs.toString(16).padStart(12, "0")}-${random.uuid()}-000000`,
    sentMs,
    to: addresses(random),
    tags: {
      activity_id: [random.uuid()],
      email_type: [random.pick(["marketing", "transactional"])],
      "ses:configuration-set": ["week"],
    },
  };
}

/** Few enough that most get several emails. */
function addresses(random: Random): string[] {
  const share = random.next();
  const customer = () => `customer-${random.below(1_500)}@${random.pick(["example.com", "example.net"])}`;
  if (share < 0.03) return [`${random.pick(["success", "bounce", "ooto"])}@simulator.amazonses.com`];
  if (share < 0.09) return [`gone-${random.below(40)}@example.com`];
  if (share < 0.8) return [customer()];
  if (share < 0.85) return [customer().replace("customer", "Customer")];
  return [...new Set(Array.from({ length: 2 + random.below(3) }, customer))];
}

/** What becomes of an email, with its weight. */
const fates: [number, (week: Week, email: Email) => void][] = [
  [76, arrives],
  [5, arrivesLate],
  [4, bouncesHard],
  [4, bouncesSoft],
  [3, expires],
  [3, bouncesInPart],
  [2, isRejected],
  [1, cannotBeRendered],
  [2, isOnlyAnswered],
  [2, isSent],
];
const sumOfWeights = fates.reduce((sum, [weight]) => sum + weight, 0);

function liveThrough(week: Week, email: Email): void {
  if (email.to[0]?.startsWith("gone-")) {
    bouncesHard(week, email);
    return;
  }
  let left = week.random.below(sumOfWeights);
  const chosen = fates.find(([weight]) => {
    left -= weight;
    return left < 0;
  });
  chosen?.[1](week, email);
}

function arrives(week: Week, email: Email): void {
  isSent(week, email);
  deliver(week, email, email.sentMs + 400 + week.random.below(20 * second));
}

function arrivesLate(week: Week, email: Email): void {
  isSent(week, email);
  delay(week, email, email.sentMs + 10 * minute, "MailboxFull");
  delay(week, email, email.sentMs + 40 * minute, week.random.pick(["MailboxFull", "General"]));
  deliver(week, email, email.sentMs + hour + week.random.below(hour));
}

function bouncesHard(week: Week, email: Email): void {
  isSent(week, email);
  const subtypes = [
    "General",
    "NoEmail",
    "Suppressed",
    "OnAccountSuppressionList",
    "EmailValidationSuppressed",
  ];
  const atMs = email.sentMs + 500 + week.random.below(10 * second);
  bounce(week, email, atMs, "Permanent", week.random.pick(subtypes), "failed");
}

function bouncesSoft(week: Week, email: Email): void {
  isSent(week, email);
  const atMs = email.sentMs + 500 + week.random.below(minute);
  const [type, subtype] = week.random.pick([
    ["Transient", "MessageTooLarge"],
    ["Transient", "General"],
    ["Undetermined", "Undetermined"],
  ] as const);
  bounce(week, email, atMs, type, subtype, "failed");
}

function expires(week: Week, email: Email): void {
  isSent(week, email);
  delay(week, email, email.sentMs + 10 * minute, "TransientCommunicationFailure");
  // SES may tell of the bounce, and nothing more, or of the delay only.
  if (week.random.chance(0.7))
    bounce(week, email, email.sentMs + 14 * hour, "Transient", "MailboxFull", "failed");
}

/** The first recipient is delayed inside a permanent bounce, the others fail, and the first is reached later. */
function bouncesInPart(week: Week, email: Email): void {
  isSent(week, email);
  const [first = "", ...others] = email.to;
  const atMs = email.sentMs + 2 * second;
  if (others.length === 0) {
    bounce(week, email, atMs, "Permanent", "General", "delayed");
    return;
  }
  const recipients = [
    dsn(first, "delayed"),
    ...others.map((address) => dsn(address.toUpperCase(), "failed")),
  ];
  const detail = bounceDetail(week.random, atMs, "Permanent", "General", recipients);
  occur(week, email, { ...event("Bounce", "delayed", atMs, detail), concerns: [first] }, "bounced", others);
  deliverTo(week, email, atMs + hour, [first]);
}

function isRejected(week: Week, email: Email): void {
  isSent(week, email);
  occur(week, email, event("Reject", "rejected", email.sentMs, { reason: "Bad content" }));
}

function cannotBeRendered(week: Week, email: Email): void {
  const detail = { templateName: "Welcome", errorMessage: "Attribute 'name' is not present." };
  occur(week, email, event("Rendering Failure", "rendering_failed", email.sentMs, detail, "failure"));
}

/** Its Send and Delivery are lost. */
function isOnlyAnswered(week: Week, email: Email): void {
  replyAutomatically(week, email, email.sentMs + 3 * second);
}

function isSent(week: Week, email: Email): void {
  occur(week, email, event("Send", "sent", email.sentMs, {}));
}

/** One Delivery for each domain, and what may follow it. */
function deliver(week: Week, email: Email, atMs: number): void {
  const { random } = week;
  const domains = [...new Set(email.to.map((address) => address.split("@")[1]))];
  for (const [place, domain] of domains.entries()) {
    const recipients = email.to.filter((address) => address.endsWith(`@${domain}`));
    deliverTo(week, email, atMs + place * random.below(3 * second), recipients);
  }
  // In captures of the simulator the reply has a time before that of the delivery.
  if (random.chance(0.04)) replyAutomatically(week, email, atMs + random.pick([-300, 900, 5 * minute]));
  if (random.chance(0.03)) bounce(week, email, atMs + 3 * hour, "Permanent", "General", "failed");
  if (random.chance(0.02)) bounce(week, email, atMs + 6 * hour, "Transient", "MailboxFull", "failed");
  if (random.chance(0.05)) complain(week, email, atMs + random.pick([-500, 2 * hour, day]));
}

function deliverTo(week: Week, email: Email, atMs: number, recipients: string[]): void {
  const detail = {
    timestamp: iso(atMs),
    processingTimeMillis: atMs - email.sentMs,
    recipients,
    smtpResponse: `250 2.0.0 OK ${week.random.below(1e9)}`,
    reportingMTA: "a48-102.smtp-out.amazonses.com",
  };
  const { reportingMTA: _, ...lessDetail } = detail;
  const accounts = bothFormats(week.random, detail, lessDetail);
  occur(week, email, { ...event("Delivery", "delivered", atMs, detail), concerns: recipients, accounts });
  if (recipients.includes(email.to[0] ?? "")) week.deliveries.push({ email, atMs });
}

function delay(week: Week, email: Email, atMs: number, delayType: string): void {
  const detail = {
    timestamp: iso(atMs),
    delayType,
    expirationTime: iso(email.sentMs + 14 * hour),
    delayedRecipients: email.to.map((emailAddress) => ({
      emailAddress,
      status: "4.4.1",
      diagnosticCode: "smtp; 421 4.4.1 Unable to connect to remote host",
    })),
  };
  occur(week, email, event("DeliveryDelay", "delayed", atMs, detail, "deliveryDelay"));
}

function replyAutomatically(week: Week, email: Email, atMs: number): void {
  const recipients = email.to.map((emailAddress) => ({ emailAddress }));
  const { reportingMTA: _, ...detail } = bounceDetail(week.random, atMs, "Transient", "General", recipients);
  const accounts = bothFormats(week.random, detail, detail);
  occur(week, email, { ...event("Bounce", "bounced", atMs, detail), accounts });
}

/** Of an email to several the whole domain is listed, and nobody is certain. */
function complain(week: Week, email: Email, atMs: number): void {
  const [first = ""] = email.to;
  const concerns = email.to.filter((address) => address.split("@")[1] === first.split("@")[1]);
  const detail = {
    feedbackId: feedbackId(week.random, atMs),
    complaintSubType: null,
    complainedRecipients: concerns.map((emailAddress) => ({ emailAddress })),
    timestamp: iso(atMs),
    userAgent: "ExampleCorp Feedback Loop (V0.01)",
    complaintFeedbackType: week.random.pick(["abuse", "abuse", "fraud", "not-spam"]),
  };
  const { userAgent: _, ...lessDetail } = detail;
  const accounts = bothFormats(week.random, detail, lessDetail);
  occur(week, email, { ...event("Complaint", "complained", atMs, detail), concerns, accounts });
}

const people = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
];
const googleProxy =
  "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const bots = ["Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "curl/8.5.0"];

/** Somebody, or something, opens an email that was delivered. */
function visit(week: Week): void {
  const { random } = week;
  const { email, atMs: deliveredMs } = random.pick(week.deliveries);
  const laterMs = deliveredMs + 3 * second + random.below(2 * hour);
  const share = random.next();
  if (share < 0.5) read(week, email, laterMs, random.pick(people));
  else if (share < 0.65) read(week, email, laterMs, googleProxy);
  else if (share < 0.78) open(week, email, deliveredMs + random.below(10 * second), "Mozilla/5.0");
  else if (share < 0.86) open(week, email, laterMs, random.pick(bots));
  else scan(week, email, deliveredMs);
}

/** Opens in a burst, some at the very edge of the 20 minutes, and a click now and then. */
function read(week: Week, email: Email, startsMs: number, agent: string): void {
  const { random } = week;
  const opens = 1 + random.below(4);
  const edges = [20 * minute - 1, 20 * minute, 20 * minute + 1];
  open(week, email, startsMs, agent);
  for (let number = 1; number < opens; number++) {
    const afterMs = random.chance(0.25) ? random.pick(edges) : random.below(20 * minute);
    open(week, email, startsMs + afterMs, agent);
  }
  if (random.chance(0.3)) click(week, email, startsMs + random.below(5 * minute), agent);
}

/** A security scanner follows every link as soon as the email is there; its last click may be a person's by the rule. */
function scan(week: Week, email: Email, deliveredMs: number): void {
  for (const afterMs of [0, week.random.below(2 * second), week.random.pick([2_000, 2_001])])
    click(week, email, deliveredMs + afterMs, people[0] ?? "");
}

function open(week: Week, email: Email, atMs: number, userAgent: string): void {
  const detail = { ipAddress: ipOf(week.count), timestamp: iso(atMs), userAgent };
  occur(week, email, { ...event("Open", "opened", atMs, detail), concerns: email.to.slice(0, 1) });
}

function click(week: Week, email: Email, atMs: number, userAgent: string): void {
  const link = week.random.pick(["https://shop.example.org/sale", "https://shop.example.org/unsubscribe"]);
  const detail = { ipAddress: ipOf(week.count), timestamp: iso(atMs), userAgent, link, linkTags: null };
  occur(week, email, { ...event("Click", "clicked", atMs, detail), concerns: email.to.slice(0, 1) });
}

/** Different for each occurrence, so that no two are the same by chance. */
function ipOf(count: number): string {
  return `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`;
}
