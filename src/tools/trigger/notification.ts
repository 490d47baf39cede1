import { triggerConfigurationSet } from "../../domain/mail/sns-message.ts";

/*
 * Notifications in the form that Amazon SES publishes, for emails that were never sent.
 * Source: "Contents of event data that Amazon SES publishes to Amazon SNS", Amazon SES developer guide.
 */

/** What a notification is about. */
export type Example = {
  /** In SES format: see `exampleMessageId`. */
  messageId: string;
  recipients: readonly string[];
  sentAt: Date;
  /** When the event happens. */
  now: Date;
  /** Whether a machine opens or clicks. */
  isMachine: boolean;
  /** For a bounce or complaint; in the format of a messageId. */
  feedbackId: string;
};

type Detail = { eventType: string } & Record<string, unknown>;

const browser =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36";
/** Apple's Mail Privacy Protection. */
const prefetch = "Mozilla/5.0";
const reportingMTA = "dns; a8-86.smtp-out.amazonses.com";

/** The types that can be triggered, with descriptions. */
export const exampleTypes = {
  send: "SES took the email",
  delivery: "the recipient's server took it",
  "delivery-delay": "it waits, because the mailbox is full",
  bounce: "there is no such mailbox (a hard bounce, which suppresses the address)",
  "soft-bounce": "the mailbox is full",
  "out-of-office": "an automatic reply, which SES calls a bounce",
  suppressed: "SES held it back: the address is on your account's suppression list",
  complaint: "the recipient marked it as spam (which suppresses the address)",
  "not-spam": "the recipient took it out of the spam folder",
  open: "it was opened; with --machine by Apple's prefetch",
  click: "a link was clicked; with --machine by a scanner",
  reject: "SES found a virus, and did not send it",
  "rendering-failure": "its template could not be filled in",
  subscription: "the recipient unsubscribed from a contact list",
} as const;

export type ExampleType = keyof typeof exampleTypes;

/** The SES notification for an example. */
export function exampleNotification(type: ExampleType, example: Example): object {
  return { ...detailOf(type, example), mail: mailOf(example) };
}

/** @param unique a UUID. */
export function exampleMessageId(at: Date, unique: string): string {
  return `0100${at.getTime().toString(16).padStart(12, "0")}-${unique}-000000`;
}

function detailOf(type: ExampleType, example: Example): Detail {
  const timestamp = example.now.toISOString();
  switch (type) {
    case "send":
      return { eventType: "Send", send: {} };
    case "delivery":
      return delivery(example, timestamp);
    case "delivery-delay":
      return delay(example, timestamp);
    case "bounce":
      return bounce(example, "Permanent", "General", failed("5.1.1", "smtp; 550 5.1.1 user unknown"));
    case "soft-bounce":
      return bounce(example, "Transient", "MailboxFull", failed("4.2.2", "smtp; 452 4.2.2 mailbox full"));
    case "out-of-office":
      return bounce(example, "Transient", "General", {});
    case "suppressed":
      return bounce(example, "Permanent", "OnAccountSuppressionList", failed("5.1.1", suppressedText));
    case "complaint":
      return complaint(example, "abuse");
    case "not-spam":
      return complaint(example, "not-spam");
    case "open":
      return { eventType: "Open", open: { timestamp, ...seenBy(example, prefetch) } };
    case "click":
      return { eventType: "Click", click: { timestamp, ...seenBy(example, browser), ...link } };
    case "reject":
      return { eventType: "Reject", reject: { reason: "Bad content" } };
    case "rendering-failure":
      return { eventType: "Rendering Failure", failure: renderingFailure };
    case "subscription":
      return { eventType: "Subscription", subscription: { timestamp, ...unsubscribed } };
    default:
      throw new Error(`unreachable: ${type satisfies never}`);
  }
}

const suppressedText =
  "Amazon SES did not send the message to this address because it is on the suppression list for your account.";
const link = { link: "https://shop.example.com/orders/1001", linkTags: null };
const renderingFailure = {
  templateName: "order-confirmation",
  errorMessage: "Attribute 'name' is not present in the rendering data.",
};
const preferences = (status: string) => ({
  unsubscribeAll: status === "OptOut",
  topicSubscriptionStatus: [{ topicName: "news", subscriptionStatus: status }],
});
const unsubscribed = {
  contactList: "customers",
  source: "UnsubscribeHeader",
  newTopicPreferences: preferences("OptOut"),
  oldTopicPreferences: preferences("OptIn"),
};

function delivery({ recipients, sentAt, now }: Example, timestamp: string): Detail {
  const processingTimeMillis = now.getTime() - sentAt.getTime();
  const smtpResponse = "250 2.0.0 OK";
  return {
    eventType: "Delivery",
    delivery: { timestamp, processingTimeMillis, recipients, smtpResponse, reportingMTA },
  };
}

function delay({ recipients, now }: Example, timestamp: string): Detail {
  const delayedRecipients = recipients.map((emailAddress) => ({
    emailAddress,
    status: "4.2.2",
    diagnosticCode: "smtp; 452 4.2.2 mailbox full",
  }));
  const expirationTime = new Date(now.getTime() + 14 * 3_600_000).toISOString();
  const deliveryDelay = { timestamp, delayType: "MailboxFull", expirationTime, delayedRecipients };
  return { eventType: "DeliveryDelay", deliveryDelay };
}

function failed(status: string, diagnosticCode: string) {
  return { action: "failed", status, diagnosticCode };
}

function bounce(
  { recipients, now, feedbackId }: Example,
  bounceType: string,
  bounceSubType: string,
  dsn: object,
): Detail {
  const bouncedRecipients = recipients.map((emailAddress) => ({ emailAddress, ...dsn }));
  const timestamp = now.toISOString();
  return {
    eventType: "Bounce",
    bounce: { feedbackId, bounceType, bounceSubType, bouncedRecipients, timestamp, reportingMTA },
  };
}

function complaint({ recipients, now, feedbackId }: Example, complaintFeedbackType: string): Detail {
  return {
    eventType: "Complaint",
    complaint: {
      feedbackId,
      complaintSubType: null,
      complainedRecipients: recipients.map((emailAddress) => ({ emailAddress })),
      timestamp: now.toISOString(),
      userAgent: "ExampleCorp Feedback Loop (V0.01)",
      complaintFeedbackType,
    },
  };
}

/** The client that opened or clicked, with an address reserved for documentation. */
function seenBy({ isMachine }: Example, machineAgent: string) {
  return isMachine
    ? { ipAddress: "203.0.113.7", userAgent: machineAgent, isBotEvent: "Likely" }
    : { ipAddress: "192.0.2.1", userAgent: browser, isBotEvent: "Unlikely" };
}

function mailOf({ messageId, recipients, sentAt }: Example) {
  const from = "Example Shop <hello@shop.example.com>";
  return {
    timestamp: sentAt.toISOString(),
    source: from,
    sourceArn: "arn:aws:ses:us-east-1:000000000000:identity/shop.example.com",
    sendingAccountId: "000000000000",
    messageId,
    destination: recipients,
    headersTruncated: false,
    commonHeaders: { from: [from], to: recipients, messageId, subject: "Triggered by fanmail" },
    tags: { "ses:configuration-set": [triggerConfigurationSet], "ses:from-domain": ["shop.example.com"] },
  };
}
