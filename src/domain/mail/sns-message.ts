import { z } from "zod";
import { awsHost, isArn, parseArn } from "../arn.ts";
import { RefusedError } from "../errors.ts";
import { flatTextsReader } from "../flat-json.ts";
import { hasRepeatedKeys, jsonOrNull } from "../json.ts";

/*
 * The SNS envelope and the text that AWS signs. Every field must have its exact form, because the signed text
 * consists of `Key\nvalue\n` lines: with a line break in a field a signed message could be split differently
 * ("canonical re-split"), and a field that is missing or has another type could be read differently. A lone surrogate
 * (JSON can escape one) is hashed as U+FFFD, and could replace a signed U+FFFD.
 */

const text = z
  .string()
  .refine((value) => value.isWellFormed(), "holds half a surrogate pair, which is no Unicode character");
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding control characters is the purpose.
const oneLine = /^[^\u0000-\u001f\u007f]*$/;
const withoutControlCharacters = text.regex(oneLine, "holds a control character");
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const messageId = z.string().regex(uuid, "is not a UUID");
const isoTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const timestamp = z
  .string()
  .regex(isoTime, "is not of the form 2026-01-31T12:00:00.000Z")
  .refine(isDate, "is not a date");
const topicArnText = z.string().refine(isTopicArn, "is not the ARN of a topic");

const signed = {
  MessageId: messageId,
  TopicArn: topicArnText,
  Message: text,
  Timestamp: timestamp,
  SignatureVersion: z.enum(["1", "2"]),
  Signature: z.string().regex(/^[A-Za-z0-9+/]+={0,2}$/, "is not base64"),
  SigningCertURL: withoutControlCharacters,
};
const confirmation = {
  ...signed,
  Token: withoutControlCharacters.min(1),
  SubscribeURL: withoutControlCharacters,
};

const SnsMessage = z.discriminatedUnion("Type", [
  z.object({
    ...signed,
    Type: z.literal("Notification"),
    Subject: withoutControlCharacters.nullish(),
  }),
  z.object({ ...confirmation, Type: z.literal("SubscriptionConfirmation") }),
  z.object({ ...confirmation, Type: z.literal("UnsubscribeConfirmation") }),
]);
export type SnsMessage = z.infer<typeof SnsMessage>;
type SnsNotification = Extract<SnsMessage, { Type: "Notification" }>;
export type SnsConfirmation = Extract<SnsMessage, { Token: string }>;

/** Room for a topic name of 256 characters, but not for a message in place of the region. */
const maxArnLength = 512;
const ClaimedOrigin = z.object({
  TopicArn: topicArnText.max(maxArnLength).optional().catch(undefined),
  MessageId: messageId.optional().catch(undefined),
});

export function isTopicArn(text: string): boolean {
  return isArn(text, "sns", /^[A-Za-z0-9_-]{1,256}(\.fifo)?$/);
}

/** The topic of notifications from `fanmail trigger`. AWS has no such account. */
export const triggerTopic = "arn:aws:sns:us-east-1:000000000000:fanmail-trigger";
/** The configuration set of those notifications. */
export const triggerConfigurationSet = "fanmail-trigger";

/**
 * Reads the body of a request or of an SQS message.
 * @throws RefusedError 400; it names the field, never its value.
 */
export function parseSnsMessage(body: string): SnsMessage {
  // An SQS message is a string, never bytes of UTF-8.
  if (!body.isWellFormed()) throw new RefusedError(400, "not_utf8", "The body cannot be written in UTF-8");
  return usualNotification(body) ?? parseAnyMessage(body);
}

/** @throws RefusedError as `parseSnsMessage` does. */
function parseAnyMessage(body: string): SnsMessage {
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    // The parser's own message quotes the text, which may hold addresses.
    throw new RefusedError(400, "not_json", "The body is not JSON");
  }
  // The journal keeps the body as text; later readers must find the same values that were verified.
  if (hasRepeatedKeys(body, json)) {
    throw new RefusedError(400, "not_sns", "Not an SNS message: a field is given twice");
  }
  const parsed = SnsMessage.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const field = issue?.path.join(".") || "body";
  throw new RefusedError(400, "not_sns", `Not an SNS message: ${field} ${describe(issue)}`);
}

/**
 * Reads the fields of a notification as SNS writes them, each in a form that `SnsMessage` accepts too. Whether another
 * form is right, `SnsMessage` decides.
 */
const usualTexts = flatTextsReader({
  Type: (type) => type === "Notification",
  MessageId: (id) => uuid.test(id),
  TopicArn: isTopicArn,
  Subject: isOneLine,
  Message: (message) => message.isWellFormed(),
  Timestamp: (time) => isoTime.test(time) && isDate(time),
  SignatureVersion: (version) => version === "1" || version === "2",
  Signature: isPaddedBase64,
  SigningCertURL: isOneLine,
  UnsubscribeURL: () => true,
});

/** Reads nearly all messages, in about twice the time of JSON.parse. @returns null for any other. */
function usualNotification(body: string): SnsMessage | null {
  const texts = usualTexts(body);
  if (texts === null) return null;
  const { Type, MessageId, TopicArn, Message, Timestamp, SignatureVersion, Signature, SigningCertURL } =
    texts;
  if (!Type || !MessageId || !TopicArn || !Timestamp || !SignatureVersion || !Signature) return null;
  if (SigningCertURL === undefined || Message === undefined) return null;
  const message: SnsNotification = {
    Type: "Notification",
    MessageId,
    TopicArn,
    Message,
    Timestamp,
    SignatureVersion: SignatureVersion === "1" ? "1" : "2",
    Signature,
    SigningCertURL,
  };
  if (texts.Subject !== undefined) message.Subject = texts.Subject;
  return message;
}

function isOneLine(text: string): boolean {
  return oneLine.test(text) && text.isWellFormed();
}

/** Much faster than to look at each character. */
function isPaddedBase64(text: string): boolean {
  return Buffer.from(text, "base64").toString("base64") === text;
}

function isDate(text: string): boolean {
  return !Number.isNaN(Date.parse(text));
}

function describe(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === "invalid_format" || issue?.code === "custom") return issue.message;
  if (issue?.code === "invalid_type") return `must be of type ${issue.expected}`;
  return "is not accepted";
}

const Claim = z.object({ Type: z.string(), TopicArn: z.string(), Signature: z.string() });

/** Whether a body claims to be an SNS message, valid or not; otherwise an SQS queue holds a raw notification. */
export function claimsToBeSnsMessage(body: string): boolean {
  return Claim.safeParse(jsonOrNull(body)).success;
}

/** A message's own claims, for the log: not verified, but checked for their form. */
export function claimedOrigin(message: unknown): { topic_arn?: string; sns_message_id?: string } {
  const claimed = ClaimedOrigin.safeParse(message).data;
  return {
    ...(claimed?.TopicArn && { topic_arn: claimed.TopicArn }),
    ...(claimed?.MessageId && { sns_message_id: claimed.MessageId }),
  };
}

/**
 * The signed text. Fields come in AWS's order, with decoded values; `Message` keeps its trailing newline, and
 * `Subject` appears only if present.
 * Source: "Verifying the signatures of Amazon SNS messages", Amazon SNS developer guide.
 */
export function stringToSign(message: SnsMessage): string {
  if (message.Type === "Notification") {
    const subject = typeof message.Subject === "string" ? `Subject\n${message.Subject}\n` : "";
    return (
      `Message\n${message.Message}\nMessageId\n${message.MessageId}\n${subject}` +
      `Timestamp\n${message.Timestamp}\nTopicArn\n${message.TopicArn}\nType\n${message.Type}\n`
    );
  }
  return (
    `Message\n${message.Message}\nMessageId\n${message.MessageId}\nSubscribeURL\n${message.SubscribeURL}\n` +
    `Timestamp\n${message.Timestamp}\nToken\n${message.Token}\nTopicArn\n${message.TopicArn}\nType\n${message.Type}\n`
  );
}

/** The digest that AWS uses for each signature version. */
export function signatureDigest(message: Pick<SnsMessage, "SignatureVersion">): "RSA-SHA1" | "RSA-SHA256" {
  return message.SignatureVersion === "1" ? "RSA-SHA1" : "RSA-SHA256";
}

/**
 * The only host that signs for a topic. It is built from the region and partition of the allow-listed ARN and never
 * matched against a pattern, because an S3 bucket can be named to fit the usual one.
 */
export function snsHost(topicArn: string): string {
  return awsHost("sns", parseArn(topicArn).region);
}

/**
 * Checks a SigningCertURL: https, the topic's own host, the path of an SNS certificate, and nothing else (no port,
 * user, query or fragment). AWS's names have 32 digits; longer ones would only fill memory.
 * @throws RefusedError 403
 */
export function assertCertificateUrl(url: string, topicArn: string): void {
  const prefix = `https://${snsHost(topicArn)}/SimpleNotificationService-`;
  if (url.startsWith(prefix) && /^[0-9a-f]{1,64}\.pem$/.test(url.slice(prefix.length))) return;
  throw new RefusedError(
    403,
    "certificate_url",
    "SigningCertURL is not the certificate of this topic's region",
  );
}

/**
 * The URL that confirms a subscription, built from signed parts. SubscribeURL itself is never visited, so it cannot
 * point elsewhere.
 */
export function confirmationUrl(message: SnsConfirmation): string {
  const query = new URLSearchParams({
    Action: "ConfirmSubscription",
    TopicArn: message.TopicArn,
    Token: message.Token,
  });
  return `https://${snsHost(message.TopicArn)}/?${query}`;
}
