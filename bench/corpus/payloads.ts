/*
 * Notifications in the form that Amazon SES publishes to a topic, with the headers and tags of a shop's emails.
 * Source: "Contents of event data that Amazon SES publishes to Amazon SNS", Amazon SES developer guide.
 */

/** An email of the corpus. */
export type Email = {
  messageId: string;
  sentAtMs: number;
  recipients: readonly [string, ...string[]];
  senderDomain: string;
  orderNumber: number;
  emailType: string;
  campaignId: string;
};

/** What happened to an email, and to whom. */
export type Happening =
  | { kind: "Send" }
  | { kind: "Delivery"; atMs: number; recipients: readonly string[] }
  | { kind: "Open"; atMs: number; userAgent: string; ipAddress: string }
  | { kind: "Click"; atMs: number; userAgent: string; ipAddress: string; link: string }
  | { kind: "Bounce"; atMs: number; recipient: string; isPermanent: boolean; feedbackId: string }
  | { kind: "Complaint"; atMs: number; recipient: string; feedbackId: string };

/** The text of the field `Message`. */
export function messageOf(email: Email, happening: Happening): string {
  const { name, detail } = detailOf(email, happening);
  const mail = mailOf(email, happening.kind);
  return JSON.stringify({ eventType: happening.kind, mail, [name]: detail });
}

function detailOf(email: Email, happening: Happening): { name: string; detail: object } {
  switch (happening.kind) {
    case "Send":
      return { name: "send", detail: {} };
    case "Delivery":
      return { name: "delivery", detail: delivery(email, happening) };
    case "Open":
      return { name: "open", detail: seen(happening) };
    case "Click":
      return { name: "click", detail: { ...seen(happening), link: happening.link, linkTags: null } };
    case "Bounce":
      return { name: "bounce", detail: bounce(happening) };
    case "Complaint":
      return { name: "complaint", detail: complaint(email, happening) };
    default:
      throw new Error(`unreachable: ${happening satisfies never}`);
  }
}

type Of<Kind extends Happening["kind"]> = Extract<Happening, { kind: Kind }>;

function delivery({ sentAtMs, orderNumber }: Email, { atMs, recipients }: Of<"Delivery">): object {
  return {
    timestamp: timeText(atMs),
    processingTimeMillis: atMs - sentAtMs,
    recipients,
    smtpResponse: `250 2.0.0 OK  ${Math.floor(atMs / 1000)} ${orderNumber.toString(36)}d9443c01a7336-gsmtp`,
    remoteMtaIp: `203.0.113.${orderNumber % 250}`,
    reportingMTA: `a48-${orderNumber % 190}.smtp-out.amazonses.com`,
  };
}

function seen({ atMs, userAgent, ipAddress }: Of<"Open" | "Click">): object {
  return { timestamp: timeText(atMs), userAgent, ipAddress };
}

function bounce({ atMs, recipient, isPermanent, feedbackId }: Of<"Bounce">): object {
  const [status, diagnosticCode] = isPermanent
    ? ["5.1.1", "smtp; 550 5.1.1 The email account that you tried to reach does not exist"]
    : ["4.2.2", "smtp; 452 4.2.2 The email account that you tried to reach is over quota"];
  return {
    feedbackId,
    bounceType: isPermanent ? "Permanent" : "Transient",
    bounceSubType: isPermanent ? "General" : "MailboxFull",
    bouncedRecipients: [{ emailAddress: recipient, action: "failed", status, diagnosticCode }],
    timestamp: timeText(atMs),
    remoteMtaIp: "203.0.113.26",
    reportingMTA: "dns; a8-86.smtp-out.amazonses.com",
  };
}

function complaint({ sentAtMs }: Email, { atMs, recipient, feedbackId }: Of<"Complaint">): object {
  return {
    feedbackId,
    complaintSubType: null,
    complainedRecipients: [{ emailAddress: recipient }],
    timestamp: timeText(atMs),
    userAgent: "Amazon SES Mailbox Simulator Feedback Loop (V0.01)",
    complaintFeedbackType: "abuse",
    arrivalDate: timeText(sentAtMs + 1_000),
  };
}

function mailOf(email: Email, kind: Happening["kind"]): object {
  const { messageId, sentAtMs, recipients, senderDomain } = email;
  return {
    timestamp: timeText(sentAtMs),
    source: `hello@${senderDomain}`,
    sourceArn: `arn:aws:ses:eu-west-1:123456789012:identity/${senderDomain}`,
    sendingAccountId: "123456789012",
    messageId,
    destination: recipients,
    headersTruncated: false,
    headers: headersOf(email),
    commonHeaders: {
      from: [`Example Shop <hello@${senderDomain}>`],
      replyTo: [`service@${senderDomain}`],
      to: recipients,
      messageId,
      subject: subjectOf(email),
    },
    tags: tagsOf(email, kind === "Delivery"),
  };
}

function headersOf(email: Email): { name: string; value: string }[] {
  const { senderDomain, recipients, messageId, orderNumber, sentAtMs, campaignId, emailType } = email;
  const headers = {
    From: `Example Shop <hello@${senderDomain}>`,
    "Reply-To": `service@${senderDomain}`,
    To: recipients.join(", "),
    Subject: asHeader(subjectOf(email)),
    "MIME-Version": "1.0",
    "Content-Type": `multipart/alternative;  boundary="----=_Part_${orderNumber}_1841093212.1753182637301"`,
    "Message-ID": `<${messageId.slice(17, 53)}@${senderDomain}>`,
    "List-Unsubscribe": `<https://${senderDomain}/unsubscribe/${messageId.slice(17, 53)}>`,
    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    Date: new Date(sentAtMs).toUTCString(),
    "Feedback-ID": `${campaignId.slice(0, 8)}:${emailType}:shop:1.eu-west-1.AmazonSES`,
    "X-Entity-Ref-ID": `order-${orderNumber}`,
    "X-SES-CONFIGURATION-SET": "shop-production",
  };
  return Object.entries(headers).map(([name, value]) => ({ name, value }));
}

/** SES adds the tags about its own outgoing connection on the way. */
function tagsOf({ senderDomain, emailType, campaignId }: Email, isDelivery: boolean): object {
  return {
    "ses:source-tls-version": ["TLSv1.3"],
    "ses:operation": ["SendEmail"],
    "ses:configuration-set": ["shop-production"],
    "ses:source-ip": ["192.0.2.10"],
    "ses:from-domain": [senderDomain],
    "ses:caller-identity": ["shop-mailer"],
    ...(isDelivery && { "ses:outgoing-tls-version": ["TLSv1.3"], "ses:outgoing-ip": ["198.51.100.25"] }),
    email_type: [emailType],
    campaign_id: [campaignId],
  };
}

function subjectOf({ emailType, orderNumber }: Email): string {
  if (emailType === "newsletter") return `✨ Żółty, grün, rosé: for customers with order ${orderNumber}`;
  return `Your order ${orderNumber} at Example Shop: what happens next`;
}

/** SES reports headers as they were sent (RFC 2047), and the common ones decoded. */
function asHeader(subject: string): string {
  if (/^[ -~]*$/.test(subject)) return subject;
  return `=?UTF-8?B?${Buffer.from(subject).toString("base64")}?=`;
}

function timeText(atMs: number): string {
  return new Date(atMs).toISOString();
}
