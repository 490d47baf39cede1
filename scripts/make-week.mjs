/**
 * Writes a plausible week of SES events of a small shop, one bare SES payload per line:
 *
 *   node scripts/make-week.mjs > examples/week.ndjson
 *
 * Every run gives the same bytes: the randomness has a fixed seed and no clock is read.
 */

/** @typedef {{ name: string, address: string }} Person */
/** @typedef {{ type: string, from: Person, links: string[], templateId: string, openRate: number }} Kind */
/** @typedef {{ subject: string, tags?: Record<string, string>, bcc?: Person[], isTemplated?: boolean }} Wording */
/** @typedef {{ kind: Kind, sentAtMs: number, messageId: string, to: Person[], wording: Wording }} Email */
/** @typedef {{ atMs: number, payload: Record<string, unknown> }} Occurrence `atMs` is when SES publishes it. */
/** @typedef {(email: Email) => Occurrence[]} Story what becomes of an email after its Send. */

const SEED = 20261109;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const MONDAY_MS = Date.parse("2026-11-09T00:00:00.000Z");
const WEEK_END_MS = MONDAY_MS + 7 * DAY_MS;

const DISPLACED_SHARE = 0.085;
const REDELIVERED_SHARE = 0.064;
const REPOSTED_SHARE = 0.05;
const BOTH_FORMATS_SHARE = 0.06;
const FARTHEST_PLACES = 40;

const SHOP = "https://shop.example.com";
const SHOP_ARN = "arn:aws:ses:us-east-1:123456789012:identity/shop.example.com";
const CAMPAIGN_ID = "6d0b6f3e-52c1-4a0e-9d4b-0f6f7a1c2e11";
const UNSUBSCRIBE = `${SHOP}/unsubscribe`;
const NEWSLETTER_READERS = 104;

const DESKTOP_AGENT =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
const PHONE_AGENT =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";
const LAPTOP_AGENT =
  "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const GMAIL_PROXY_AGENT =
  "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)";
const APPLE_PREFETCH_AGENT = "Mozilla/5.0";

const FIRST_NAMES =
  `Ada Agnès Aino Amara Anouk Arvid Basil Bea Benoît Carla Cleo Dario Delia Edda Elif Emil Enzo
  Esme Fausto Femke Gaia Gwen Hana Hugo Ida Iñaki Ines Iris Jana Jonas Jürgen Kaya Kofi Lea Leif Lina Luca
  Maja Milo Mina Nadia Nils Noa Odile Olga Otis Pia Quinn Rafa Renée Rosa Sami Tove Uma Vera Zoë`.split(
    /\s+/,
  );
const MAIL_HOSTS = ["example.org", "example.net", "mail.example.org", "post.example.net"];

/** @type {Record<"welcome" | "receipt" | "newsletter" | "reset" | "shipping", Kind>} */
const KINDS = {
  welcome: {
    type: "welcome",
    from: { name: "Example Shop", address: "hello@shop.example.com" },
    links: [`${SHOP}/start`, `${SHOP}/teas`],
    templateId: "0c7a3f52-8f0e-4d55-b1f6-3a4c1f0b7a01",
    openRate: 0.75,
  },
  receipt: {
    type: "receipt",
    from: { name: "Example Shop", address: "orders@shop.example.com" },
    links: [`${SHOP}/account/orders`],
    templateId: "0c7a3f52-8f0e-4d55-b1f6-3a4c1f0b7a02",
    openRate: 0.7,
  },
  newsletter: {
    type: "newsletter",
    from: { name: "Example Shop", address: "news@shop.example.com" },
    links: [`${SHOP}/teas/winter`, `${SHOP}/teas/smoky-pine`, `${SHOP}/journal/long-evenings`],
    templateId: "0c7a3f52-8f0e-4d55-b1f6-3a4c1f0b7a03",
    openRate: 0.58,
  },
  reset: {
    type: "password_reset",
    from: { name: "Example Shop", address: "hello@shop.example.com" },
    links: [`${SHOP}/account/new-password`],
    templateId: "0c7a3f52-8f0e-4d55-b1f6-3a4c1f0b7a04",
    openRate: 0.85,
  },
  shipping: {
    type: "shipping",
    from: { name: "Example Shop", address: "orders@shop.example.com" },
    links: [`${SHOP}/account/parcels`],
    templateId: "0c7a3f52-8f0e-4d55-b1f6-3a4c1f0b7a05",
    openRate: 0.75,
  },
};

const random = seededRandom(SEED);

// --- The week -------------------------------------------------------------------------------------------------

/** @returns {string[]} the lines in order of arrival */
function weekLines() {
  const occurrences = [...setUpMessages(), ...shopMail(), ...newsletterMail(), ...unusualMail()]
    .flatMap(withRepost)
    .filter(({ atMs }) => atMs < WEEK_END_MS)
    .sort((a, b) => a.atMs - b.atMs);
  return withRedeliveries(jostled(occurrences.map(({ payload }) => JSON.stringify(payload))));
}

/** @returns {Occurrence[]} the two lines that are no events of an email */
function setUpMessages() {
  const message =
    "You have successfully subscribed your Amazon SNS topic 'arn:aws:sns:us-east-1:123456789012:ses-feedback' " +
    "to receive 'Bounce' notifications from Amazon SES for identity 'shop.example.com'.";
  return [
    {
      atMs: MONDAY_MS + 6 * HOUR_MS,
      payload: { notificationType: "AmazonSnsSubscriptionSucceeded", message },
    },
    { atMs: timeOfWeek(3, 13), payload: { hello: "this is not an SES event" } },
  ];
}

/** @returns {Occurrence[]} */
function shopMail() {
  return [...welcomeEmails(), ...receiptEmails(), ...resetEmails(), ...shippingEmails()].flatMap((email) =>
    toldAs(ordinaryLife, email),
  );
}

/** @returns {Email[]} a welcome for each new customer, and two days later a second email of the same run */
function welcomeEmails() {
  return times(16, (i) => {
    const customer = person(2 + i * 5);
    const run = { automation_run_id: uuid() };
    const signedUpAtMs = timeOfWeek(i % 7, between(7, 19));
    const greeting = { subject: `Welcome, ${customer.name}`, tags: run, isTemplated: i === 3 };
    const welcome = email(KINDS.welcome, signedUpAtMs, [customer], greeting);
    if (i % 7 > 3) return [welcome];
    const tips = { subject: "Three ways to brew a better cup", tags: run };
    return [welcome, email(KINDS.welcome, signedUpAtMs + 2 * DAY_MS, [customer], tips)];
  }).flat();
}

/** @returns {Email[]} */
function receiptEmails() {
  return times(34, (i) => {
    const subject = receiptSubject(1040 + i);
    const tags = activityTag(i % 2 === 0);
    return email(KINDS.receipt, timeOfWeek(i % 7, between(6, 20)), [person(3 + i * 3)], { subject, tags });
  });
}

/**
 * @param {boolean} isNamedBySender some applications choose the identifier of the activity themselves
 * @returns {Record<string, string>}
 */
function activityTag(isNamedBySender) {
  return isNamedBySender ? { activity_id: uuid() } : {};
}

/** @param {number} order */
function receiptSubject(order) {
  if (order % 11 === 0) return `Děkujeme za objednávku ${order} ✓`;
  if (order % 13 === 0) return `ご注文の確認 ${order}`;
  return `Your receipt for order ${order}`;
}

/** @returns {Email[]} */
function resetEmails() {
  return times(11, (i) => {
    const wording = { subject: "Choose a new password", tags: activityTag(i % 3 === 0) };
    return email(KINDS.reset, timeOfWeek(i % 7, between(5, 21)), [person(7 + i * 8)], wording);
  });
}

/** @returns {Email[]} */
function shippingEmails() {
  return times(20, (i) => {
    const wording = { subject: `Order ${1020 + i} is on its way` };
    return email(KINDS.shipping, timeOfWeek(i % 6, between(8, 17)), [person(1 + i * 5)], wording);
  });
}

/** @returns {Occurrence[]} one campaign; every fifth reader lives through one of the rare stories */
function newsletterMail() {
  const startMs = MONDAY_MS + 2 * DAY_MS + 10 * HOUR_MS;
  return times(NEWSLETTER_READERS, (i) => {
    const wording = { subject: "Tea for long evenings", tags: { campaign_id: CAMPAIGN_ID } };
    const sentAtMs = startMs + i * 1_400 + between(0, 900);
    const rareStory = i % 5 === 4 ? RARE_STORIES[(i - 4) / 5] : undefined;
    return toldAs(rareStory ?? ordinaryLife, email(KINDS.newsletter, sentAtMs, [person(i)], wording));
  }).flat();
}

/** @returns {Occurrence[]} several recipients, a blind copy, a broken template and the SES mailbox simulator */
function unusualMail() {
  const couple = { subject: "Your receipt for order 1101" };
  const office = { subject: "Order 1077 is on its way" };
  const neighbours = { subject: "Order 1078 is on its way" };
  const archived = {
    subject: "Your receipt for order 1102",
    bcc: [{ name: "Archive", address: "archive@shop.example.com" }],
  };
  const forCouple = email(KINDS.receipt, timeOfWeek(1, 18), [person(20), person(21)], couple);
  const forOffice = email(KINDS.shipping, timeOfWeek(2, 15), threePeopleAtOneOffice(), office);
  const forNeighbours = email(KINDS.shipping, timeOfWeek(3, 11), [person(8), person(12)], neighbours);
  const forArchive = email(KINDS.receipt, timeOfWeek(4, 9), [person(33)], archived);
  return [
    ...toldAs(opensWithoutSayingWho, forCouple),
    ...toldAs(bouncesInPart, forOffice),
    ...toldAs(complainsTogether, forNeighbours),
    ...toldAs(opensTwiceHoursApart, forArchive),
    ...unrenderedWelcome(),
    ...simulatorMail(),
  ];
}

/** @returns {Person[]} */
function threePeopleAtOneOffice() {
  return ["Tilda", "Ruben", "Paula"].map((name) => ({
    name,
    address: `${name.toLowerCase()}@office.example.com`,
  }));
}

/** @returns {Occurrence[]} a Rendering Failure is all there is: SES publishes no Send before it */
function unrenderedWelcome() {
  const welcome = email(KINDS.welcome, timeOfWeek(4, 16), [person(50)], { subject: "", isTemplated: true });
  const errorMessage = "Attribute 'firstName' is not present in the rendering data.";
  return [
    published(welcome, "Rendering Failure", welcome.sentAtMs, {
      failure: { errorMessage, templateName: "Welcome" },
    }),
  ];
}

/** @returns {Occurrence[]} the engineer tries the set-up on Monday morning */
function simulatorMail() {
  /** @type {[string, Story][]} */
  const trials = [
    ["success", arrives],
    ["bounce", bouncesForGood],
    ["ooto", repliesAutomatically],
    ["complaint", complainsOfSpam],
  ];
  return trials.flatMap(([mailbox, story], i) => {
    const recipient = { name: "", address: `${mailbox}@simulator.amazonses.com` };
    const sentAtMs = MONDAY_MS + 7 * HOUR_MS + i * 20 * SECOND_MS + between(0, 999);
    return toldAs(story, email(KINDS.receipt, sentAtMs, [recipient], { subject: "Test of the set-up" }));
  });
}

/**
 * @param {Story} story
 * @param {Email} email
 */
function toldAs(story, email) {
  return [published(email, "Send", email.sentAtMs, { send: {} }), ...story(email)];
}

// --- Ordinary stories -----------------------------------------------------------------------------------------

/** @type {Story} */
function ordinaryLife(email) {
  const delivery = arrives(email);
  if (random() >= email.kind.openRate) return delivery;
  return [...delivery, ...pick(READER_STORIES)(email)];
}

/** @type {Story} one Delivery for each receiving host, as SES does */
function arrives(email) {
  const recipients = recipientsOf(email);
  const hosts = [...new Set(recipients.map(hostOf))];
  return hosts.flatMap((host) => {
    const there = recipients.filter((recipient) => hostOf(recipient) === host);
    return delivered(email, there, between(350, 2_400));
  });
}

/** @type {Story} */
function opensOnce(email) {
  return [opened(email, soonAfter(email), reader())];
}

/** @type {Story} a preview pane, a phone beside a laptop: two to five opens within minutes */
function opensInABurst(email) {
  const person = reader();
  const openTimesMs = [soonAfter(email)];
  for (let left = between(1, 4); left > 0; left--) {
    openTimesMs.push(openTimesMs[openTimesMs.length - 1] + between(5, 240) * SECOND_MS);
  }
  if (random() < 0.4) openTimesMs.push(openTimesMs[0] + between(90, 600) * MINUTE_MS);
  return openTimesMs.map((atMs) => opened(email, atMs, person));
}

/** @type {Story} */
function opensAndClicks(email) {
  const person = reader();
  const openAtMs = soonAfter(email);
  const clickAtMs = openAtMs + between(6, 90) * SECOND_MS + between(0, 999);
  return [opened(email, openAtMs, person), clicked(email, clickAtMs, person, pick(email.kind.links))];
}

/** @type {Story} the reader's mail program shows no images, so that no Open precedes the Click */
function clicksWithoutAnOpen(email) {
  return [clicked(email, soonAfter(email), reader(), pick(email.kind.links))];
}

/** @type {Story} */
function isPrefetchedByApple(email) {
  const apple = { ipAddress: documentationIp(), userAgent: APPLE_PREFETCH_AGENT };
  return [opened(email, email.sentAtMs + between(4_000, 40_000), apple)];
}

/** @type {Story} Gmail fetches the image through its proxy once somebody looks at the email */
function opensInGmail(email) {
  const proxy = { ipAddress: documentationIp(), userAgent: GMAIL_PROXY_AGENT };
  const openAtMs = soonAfter(email);
  const first = opened(email, openAtMs, proxy);
  if (random() < 0.7) return [first];
  return [first, opened(email, openAtMs + between(2, 400) * MINUTE_MS, proxy)];
}

/** @type {Story} */
function opensTwiceHoursApart(email) {
  const person = reader();
  const earlierMs = soonAfter(email);
  const laterMs = earlierMs + 5 * HOUR_MS;
  return [
    ...arrives(email),
    opened(email, earlierMs, person),
    opened(email, laterMs, person),
    clicked(email, laterMs + 30 * SECOND_MS, person, email.kind.links[0]),
  ];
}

/** @type {Story[]} a story listed twice is twice as likely */
const READER_STORIES = [
  opensOnce,
  opensOnce,
  opensInABurst,
  opensInABurst,
  opensAndClicks,
  opensAndClicks,
  clicksWithoutAnOpen,
  isPrefetchedByApple,
  opensInGmail,
];

// --- Rare stories ---------------------------------------------------------------------------------------------

/** @type {Story} */
function bouncesForGood(email) {
  const atMs = email.sentAtMs + between(500, 1_500);
  return inBothFormats(email, bounce(email, atMs, "Permanent", "General", "smtp; 550 5.1.1 user unknown"));
}

/** @type {Story} */
function bouncesForWantOfAMailbox(email) {
  const diagnostic = "smtp; 550-5.1.1 The email account that you tried to reach does not exist.";
  const atMs = email.sentAtMs + between(500, 1_500);
  return [bounce(email, atMs, "Permanent", "NoEmail", diagnostic)];
}

/** @type {Story} */
function isOnTheAccountSuppressionList(email) {
  const diagnostic =
    "Amazon SES did not send the message to this address because it is on the suppression list for your account.";
  return [bounce(email, email.sentAtMs + 14, "Permanent", "OnAccountSuppressionList", diagnostic)];
}

/** @type {Story} */
function isSuppressedBySes(email) {
  const diagnostic =
    "Amazon SES has suppressed sending to this address because it has a recent history of bouncing as an invalid address.";
  return inBothFormats(email, bounce(email, email.sentAtMs + 15, "Permanent", "Suppressed", diagnostic));
}

/** @type {Story} SES tries for 14 hours before it gives up */
function findsTheMailboxFull(email) {
  const diagnostic = "smtp; 452 4.2.2 The email account that you tried to reach is over quota.";
  return [
    delayed(email, email.sentAtMs + 12 * MINUTE_MS, "MailboxFull", "4.2.2", diagnostic),
    bounce(email, email.sentAtMs + 14 * HOUR_MS, "Transient", "MailboxFull", diagnostic, "4.2.2"),
  ];
}

/** @type {Story} the reply may carry a time before that of the Delivery it answers */
function repliesAutomatically(email) {
  return [
    ...delivered(email, recipientsOf(email), 1_200),
    bounce(email, email.sentAtMs + 700, "Transient", "General"),
  ];
}

/** @type {Story} */
function bouncesForReasonsUnknown(email) {
  return [bounce(email, email.sentAtMs + 90 * SECOND_MS, "Undetermined", "Undetermined")];
}

/** @type {Story} the receiving host accepts the email and sends it back hours later */
function bouncesLongAfterDelivery(email) {
  const diagnostic = "smtp; 550 5.2.1 mailbox disabled";
  const atMs = email.sentAtMs + 7 * HOUR_MS;
  return [
    ...arrives(email),
    ...inBothFormats(email, bounce(email, atMs, "Permanent", "General", diagnostic, "5.2.1")),
  ];
}

/** @type {Story} */
function complainsOfSpam(email) {
  const complaint = complained(email, email.sentAtMs + between(60, 600) * SECOND_MS, "abuse");
  return [...arrives(email), ...inBothFormats(email, complaint)];
}

/** @type {Story} */
function saysItIsNotSpam(email) {
  return [...arrives(email), complained(email, email.sentAtMs + 26 * HOUR_MS, "not-spam")];
}

/** @type {Story} */
function isRejected(email) {
  return [published(email, "Reject", email.sentAtMs + 400, { reject: { reason: "Bad content" } })];
}

/** @type {Story} */
function arrivesAfterADelay(email) {
  const diagnostic = "smtp; 421 4.4.1 Unable to connect to remote host";
  const delayAtMs = email.sentAtMs + 10 * MINUTE_MS;
  return [
    delayed(email, delayAtMs, "TransientCommunicationFailure", "4.4.1", diagnostic),
    ...delivered(email, recipientsOf(email), 35 * MINUTE_MS),
  ];
}

/** @type {Story} a mail filter follows every link, the unsubscribe link too, one second after the delivery */
function isScanned(email) {
  const processingMs = 900;
  const scanner = { ipAddress: "198.51.100.200", userAgent: DESKTOP_AGENT };
  const clicks = [...email.kind.links, UNSUBSCRIBE].map((link, i) =>
    clicked(email, email.sentAtMs + processingMs + SECOND_MS + i * 70, scanner, link),
  );
  return [...delivered(email, recipientsOf(email), processingMs), ...clicks];
}

/** @type {Story} */
function unsubscribes(email) {
  const atMs = email.sentAtMs + 50 * MINUTE_MS;
  const topic = (/** @type {string} */ subscriptionStatus) => [{ topicName: "Letters", subscriptionStatus }];
  const subscription = {
    contactList: "ExampleShop",
    timestamp: iso(atMs),
    source: "UnsubscribeHeader",
    newTopicPreferences: { unsubscribeAll: true, topicSubscriptionStatus: topic("OptOut") },
    oldTopicPreferences: { unsubscribeAll: false, topicSubscriptionStatus: topic("OptIn") },
  };
  return [...opensOnce(email), ...arrives(email), published(email, "Subscription", atMs, { subscription })];
}

/** @type {Story} AWS may add types at any time */
function meetsAnEventOfTheFuture(email) {
  const atMs = email.sentAtMs + 3 * MINUTE_MS;
  const futureEvent = { timestamp: iso(atMs), recipients: addressesOf(email), score: 0.5 };
  return [...arrives(email), published(email, "FutureEvent", atMs, { futureEvent })];
}

/** @type {Story} the second open lies one millisecond inside the 20 minutes, the third exactly at their end */
function opensAtTheEdgeOfTheWindow(email) {
  const person = reader();
  const firstMs = email.sentAtMs + 8 * MINUTE_MS;
  const openTimesMs = [firstMs, firstMs + 20 * MINUTE_MS - 1, firstMs + 20 * MINUTE_MS];
  return [...arrives(email), ...openTimesMs.map((atMs) => opened(email, atMs, person))];
}

/** @type {Story} an open each eight minutes: a window that slides would count only the first */
function keepsComingBack(email) {
  const person = reader();
  const firstMs = email.sentAtMs + 15 * MINUTE_MS;
  return [
    ...arrives(email),
    ...times(6, (i) => opened(email, firstMs + i * 8 * MINUTE_MS, person)),
    clicked(email, firstMs + 41 * MINUTE_MS, person, email.kind.links[0]),
  ];
}

/** @type {Story} Apple prefetches at once, and the person comes hours later */
function opensAfterApple(email) {
  const later = opened(email, email.sentAtMs + 9 * HOUR_MS, reader());
  return [...arrives(email), ...isPrefetchedByApple(email), later];
}

/** @type {Story[]} */
const RARE_STORIES = [
  bouncesForGood,
  opensAtTheEdgeOfTheWindow,
  bouncesForWantOfAMailbox,
  isScanned,
  isOnTheAccountSuppressionList,
  complainsOfSpam,
  findsTheMailboxFull,
  repliesAutomatically,
  isSuppressedBySes,
  keepsComingBack,
  bouncesForReasonsUnknown,
  saysItIsNotSpam,
  isRejected,
  arrivesAfterADelay,
  unsubscribes,
  meetsAnEventOfTheFuture,
  bouncesLongAfterDelivery,
  opensAfterApple,
  bouncesForWantOfAMailbox,
  complainsOfSpam,
];

// --- Stories of several recipients ----------------------------------------------------------------------------

/** @type {Story} */
function opensWithoutSayingWho(email) {
  return [...arrives(email), ...opensInABurst(email), ...opensAndClicks(email)];
}

/** @type {Story} the first gets the email, the second is unknown and spelt in capitals, the third has to wait */
function bouncesInPart(email) {
  const [first, second, third] = recipientsOf(email);
  const atMs = email.sentAtMs + 1_100;
  const failed = bounce(email, atMs, "Permanent", "General", "smtp; 550 5.1.1 user unknown");
  const unknown = { emailAddress: second.address.toUpperCase(), action: "failed", status: "5.1.1" };
  const later = { emailAddress: third.address, action: "delayed", status: "4.0.0" };
  failed.payload.bounce = {
    .../** @type {object} */ (failed.payload.bounce),
    bouncedRecipients: [unknown, later],
  };
  return [
    ...delivered(email, [first], 900),
    ...inBothFormats(email, failed),
    ...delivered(email, [third], 25 * MINUTE_MS),
  ];
}

/** @type {Story} the complaint lists everybody at the host, so that nobody knows who complained */
function complainsTogether(email) {
  return [...arrives(email), complained(email, email.sentAtMs + 3 * HOUR_MS, "abuse")];
}

// --- What SES publishes ---------------------------------------------------------------------------------------

/**
 * @param {Email} email
 * @param {Person[]} recipients
 * @param {number} processingMs
 * @returns {Occurrence[]}
 */
function delivered(email, recipients, processingMs) {
  const atMs = email.sentAtMs + processingMs;
  const delivery = {
    timestamp: iso(atMs),
    processingTimeMillis: processingMs,
    recipients: recipients.map(({ address }) => address),
    smtpResponse: `250 2.0.0 Ok: queued as ${hex(10).toUpperCase()}`,
    remoteMtaIp: "203.0.113.26",
    reportingMTA: "a48-102.smtp-out.amazonses.com",
  };
  const event = published(email, "Delivery", atMs, { delivery });
  return random() < BOTH_FORMATS_SHARE ? inBothFormats(email, event) : [event];
}

/**
 * @param {Email} email
 * @param {number} atMs
 * @param {string} bounceType
 * @param {string} bounceSubType
 * @param {string} [diagnosticCode] absent when the receiving host sends no delivery status
 * @param {string} [status]
 */
function bounce(email, atMs, bounceType, bounceSubType, diagnosticCode, status = "5.1.1") {
  const report = diagnosticCode === undefined ? {} : { action: "failed", status, diagnosticCode };
  const bouncedRecipients = addressesOf(email).map((emailAddress) => ({ emailAddress, ...report }));
  const reportingMTA =
    diagnosticCode === undefined ? {} : { reportingMTA: "dns; a8-86.smtp-out.amazonses.com" };
  return published(email, "Bounce", atMs, {
    bounce: {
      feedbackId: sesId(atMs),
      bounceType,
      bounceSubType,
      bouncedRecipients,
      timestamp: iso(atMs),
      ...reportingMTA,
    },
  });
}

/**
 * @param {Email} email
 * @param {number} atMs
 * @param {string} complaintFeedbackType
 */
function complained(email, atMs, complaintFeedbackType) {
  return published(email, "Complaint", atMs, {
    complaint: {
      feedbackId: sesId(atMs),
      complaintSubType: null,
      complainedRecipients: addressesOf(email).map((emailAddress) => ({ emailAddress })),
      timestamp: iso(atMs),
      userAgent: "ExampleCorp Feedback Loop (V0.01)",
      complaintFeedbackType,
      arrivalDate: iso(email.sentAtMs + 2 * SECOND_MS),
    },
  });
}

/**
 * @param {Email} email
 * @param {number} atMs
 * @param {string} delayType
 * @param {string} status
 * @param {string} diagnosticCode
 */
function delayed(email, atMs, delayType, status, diagnosticCode) {
  return published(email, "DeliveryDelay", atMs, {
    deliveryDelay: {
      timestamp: iso(atMs),
      delayType,
      expirationTime: iso(email.sentAtMs + 14 * HOUR_MS),
      delayedRecipients: addressesOf(email).map((emailAddress) => ({ emailAddress, status, diagnosticCode })),
    },
  });
}

/**
 * @param {Email} email
 * @param {number} atMs
 * @param {{ ipAddress: string, userAgent: string }} client
 */
function opened(email, atMs, { ipAddress, userAgent }) {
  return published(email, "Open", atMs, { open: { ipAddress, timestamp: iso(atMs), userAgent } });
}

/**
 * @param {Email} email
 * @param {number} atMs
 * @param {{ ipAddress: string, userAgent: string }} client
 * @param {string} link
 */
function clicked(email, atMs, { ipAddress, userAgent }, link) {
  const linkTags = link.includes("/teas/") ? { section: ["teas"], position: ["top"] } : null;
  return published(email, "Click", atMs, {
    click: { timestamp: iso(atMs), ipAddress, userAgent, link, linkTags },
  });
}

/**
 * The event-publishing format.
 * @param {Email} email
 * @param {string} eventType
 * @param {number} atMs
 * @param {Record<string, unknown>} detail
 * @returns {Occurrence}
 */
function published(email, eventType, atMs, detail) {
  return { atMs, payload: { eventType, mail: publishedMail(email, eventType), ...detail } };
}

/**
 * Adds the identity-feedback notification of the same fact, with the same feedbackId.
 * @param {Email} email
 * @param {Occurrence} event
 * @returns {Occurrence[]}
 */
function inBothFormats(email, event) {
  const { eventType, mail: _, ...detail } = event.payload;
  const payload = { notificationType: eventType, ...detail, mail: feedbackMail(email) };
  return [event, { atMs: event.atMs + between(50, 900), payload }];
}

/**
 * @param {Email} email
 * @param {string} eventType
 */
function publishedMail(email, eventType) {
  // AWS's own examples of Open and Click lack the ARN, and those of the failures to render or deliver lack headers.
  const hasArn = eventType !== "Open" && eventType !== "Click";
  const hasHeaders = eventType !== "Rendering Failure" && eventType !== "DeliveryDelay";
  return {
    timestamp: iso(email.sentAtMs),
    source: email.kind.from.address,
    ...(hasArn ? { sourceArn: SHOP_ARN } : {}),
    sendingAccountId: "123456789012",
    messageId: email.messageId,
    destination: addressesOf(email),
    headersTruncated: false,
    ...(hasHeaders ? headersOf(email, eventType) : {}),
    tags: tagsOf(email, eventType),
  };
}

/** @param {Email} email */
function feedbackMail(email) {
  return {
    timestamp: iso(email.sentAtMs),
    source: email.kind.from.address,
    sourceArn: SHOP_ARN,
    sourceIp: "192.0.2.10",
    sendingAccountId: "123456789012",
    callerIdentity: "shop-mailer",
    messageId: email.messageId,
    destination: addressesOf(email),
  };
}

/**
 * @param {Email} email
 * @param {string} eventType
 */
function headersOf(email, eventType) {
  // SES renders the subject of a templated email after it has published the Send.
  const isSubjectKnown = !(email.wording.isTemplated && eventType === "Send");
  const subject = email.wording.subject;
  const headers = [
    { name: "From", value: mailbox(email.kind.from, encodedWord) },
    { name: "To", value: email.to.map((person) => mailbox(person, encodedWord)).join(", ") },
    ...(isSubjectKnown ? [{ name: "Subject", value: encodedWord(subject) }] : []),
    ...(email.kind === KINDS.newsletter ? [{ name: "List-Unsubscribe", value: `<${UNSUBSCRIBE}>` }] : []),
    ...(email.kind === KINDS.reset ? [{ name: "MIME-Version", value: "1.0" }] : []),
  ];
  const commonHeaders = {
    from: [mailbox(email.kind.from)],
    to: email.to.map((person) => mailbox(person)),
    messageId: email.messageId,
    ...(isSubjectKnown ? { subject } : {}),
  };
  return { headers, commonHeaders };
}

/**
 * @param {Email} email
 * @param {string} eventType
 * @returns {Record<string, string[]>} SES gives every tag as a list
 */
function tagsOf(email, eventType) {
  const tags = {
    "ses:operation": email.wording.isTemplated ? "SendTemplatedEmail" : "SendEmail",
    "ses:configuration-set": "example-shop",
    "ses:source-ip": "192.0.2.10",
    "ses:from-domain": "shop.example.com",
    "ses:caller-identity": "shop-mailer",
    ...(eventType === "Delivery" ? { "ses:outgoing-ip": "198.51.100.25" } : {}),
    email_type: email.kind.type,
    template_id: email.kind.templateId,
    ...email.wording.tags,
  };
  return Object.fromEntries(Object.entries(tags).map(([name, value]) => [name, [value]]));
}

// --- How the lines arrive -------------------------------------------------------------------------------------

/**
 * SES itself posts some opens and clicks again: the same fact in other bytes.
 * @param {Occurrence} occurrence
 * @returns {Occurrence[]}
 */
function withRepost(occurrence) {
  const { atMs, payload } = occurrence;
  const mayRepeat = payload.eventType === "Open" || payload.eventType === "Click";
  if (!mayRepeat || random() >= REPOSTED_SHARE) return [occurrence];
  const reversed = Object.fromEntries(Object.entries(payload).reverse());
  const repost = random() < 0.5 ? reversed : { ...payload, schemaVersion: "2" };
  return [occurrence, { atMs: atMs + between(1, 40) * SECOND_MS, payload: repost }];
}

/**
 * SNS keeps no order: a few lines change places with others nearby.
 * @param {string[]} lines
 */
function jostled(lines) {
  return lines
    .map((line, place) => ({ line, place: random() < DISPLACED_SHARE ? place + displacement() : place }))
    .sort((a, b) => a.place - b.place)
    .map(({ line }) => line);
}

/** @returns {number} places to move, never zero; half a place more settles ties in the direction of the move */
function displacement() {
  const places = between(2, FARTHEST_PLACES - 4) + 0.5;
  return random() < 0.5 ? -places : places;
}

/**
 * SNS delivers at least once: a few lines come again, byte for byte, somewhat later.
 * @param {string[]} lines
 */
function withRedeliveries(lines) {
  return lines
    .flatMap((line, place) => {
      const first = { line, place };
      const isRedelivered = line.includes('"mail"') && random() < REDELIVERED_SHARE;
      return isRedelivered ? [first, { line, place: place + between(1, 90) + 0.5 }] : [first];
    })
    .sort((a, b) => a.place - b.place)
    .map(({ line }) => line);
}

// --- People, times and chance ---------------------------------------------------------------------------------

/**
 * @param {Kind} kind
 * @param {number} sentAtMs
 * @param {Person[]} to
 * @param {Wording} wording
 * @returns {Email}
 */
function email(kind, sentAtMs, to, wording) {
  return { kind, sentAtMs, messageId: sesId(sentAtMs), to, wording };
}

/** @param {number} i the same number gives the same person; numbers from 0 to 111 give different ones */
function person(i) {
  const round = Math.floor(i / FIRST_NAMES.length);
  const name = FIRST_NAMES[i % FIRST_NAMES.length];
  const local = name.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  return { name, address: `${local}@${MAIL_HOSTS[(i + round) % MAIL_HOSTS.length]}` };
}

/** @param {Email} email blind copies are part of the destination, though no header shows them */
function recipientsOf(email) {
  return [...email.to, ...(email.wording.bcc ?? [])];
}

/** @param {Email} email */
function addressesOf(email) {
  return recipientsOf(email).map(({ address }) => address);
}

/** @param {Person} person */
function hostOf({ address }) {
  return address.slice(address.indexOf("@") + 1);
}

/**
 * @param {Person} person
 * @param {(text: string) => string} [spelling]
 */
function mailbox({ name, address }, spelling = (text) => text) {
  return name === "" ? address : `${spelling(name)} <${address}>`;
}

/** @param {string} text header text as RFC 2047 has it */
function encodedWord(text) {
  const isAscii = /^[ -~]*$/.test(text);
  return isAscii ? text : `=?UTF-8?B?${Buffer.from(text).toString("base64")}?=`;
}

/** @returns {{ ipAddress: string, userAgent: string }} */
function reader() {
  return { ipAddress: documentationIp(), userAgent: pick([DESKTOP_AGENT, PHONE_AGENT, LAPTOP_AGENT]) };
}

function documentationIp() {
  return `${pick(["192.0.2", "198.51.100", "203.0.113"])}.${between(30, 190)}`;
}

/**
 * @param {number} day 0 is Monday
 * @param {number} hour
 */
function timeOfWeek(day, hour) {
  return MONDAY_MS + day * DAY_MS + hour * HOUR_MS + between(0, HOUR_MS - 1);
}

/** @param {Email} email most people look within two hours */
function soonAfter(email) {
  return email.sentAtMs + between(90, random() < 0.8 ? 7_200 : 30_000) * SECOND_MS + between(0, 999);
}

/** @param {number} timeMs */
function iso(timeMs) {
  return new Date(timeMs).toISOString();
}

/** @param {number} timeMs SES message and feedback identifiers begin with the time in hexadecimal milliseconds */
function sesId(timeMs) {
  return `0100${timeMs.toString(16).padStart(12, "0")}-${uuid()}-000000`;
}

function uuid() {
  return `${hex(8)}-${hex(4)}-4${hex(3)}-${pick(["8", "9", "a", "b"])}${hex(3)}-${hex(12)}`;
}

/** @param {number} digits */
function hex(digits) {
  return times(digits, () => between(0, 15).toString(16)).join("");
}

/**
 * @param {number} low
 * @param {number} high included
 */
function between(low, high) {
  return low + Math.floor(random() * (high - low + 1));
}

/**
 * @template T
 * @param {T[]} choices
 */
function pick(choices) {
  return choices[between(0, choices.length - 1)];
}

/**
 * @template T
 * @param {number} count
 * @param {(i: number) => T} make
 */
function times(count, make) {
  return Array.from({ length: count }, (_, i) => make(i));
}

/**
 * The mulberry32 generator: tiny, and the same on every machine.
 * @param {number} seed
 * @returns {() => number} in [0, 1)
 */
function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

process.stdout.write(`${weekLines().join("\n")}\n`);
