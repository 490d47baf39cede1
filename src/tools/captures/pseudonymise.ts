import { z } from "zod";
import { type Address, isTestAddress, parseAddresses } from "../../domain/address.ts";
import { decodedWords } from "../../domain/mail/encoded-words.ts";
import { withReadDetail } from "../../domain/mail/eventbridge.ts";
import { type Pseudonyms, type TextReplacer, textReplacer } from "./pseudonyms.ts";

export type PseudonymOptions = { pseudonyms: Pseudonyms; keepSubjects: boolean };

const Envelope = z.looseObject({ Message: z.string() });

/** They would no longer be valid, or identify the endpoint's owner. */
const signatureFields = ["Signature", "SignatureVersion", "SigningCertURL", "UnsubscribeURL"];
/** They identify the notification, not a person. */
const ownFields = ["Type", "MessageId", "TopicArn", "Timestamp"];

/** SES fields that contain an address each, with or without a name, in lower case. */
const addressFields = new Set([
  ...["destination", "recipients", "emailaddress", "source"],
  ...["from", "to", "cc", "bcc", "sender", "replyto", "returnpath"],
]);
/** In any field: a name beside an address is personal. */
const namedAddress = /^["\p{Lu}][^<>@]{0,320}<[^<>@\s]{1,320}@[^<>@\s]{1,320}>\s*$/u;
/** Headers that list addresses. */
const addressHeader =
  /^(resent-)?(from|to|cc|bcc|sender|reply-to)$|^(return-path|delivered-to|envelope-to|x-original-to|errors-to|disposition-notification-to|return-receipt-to|x-forwarded-(to|for))$/i;

/**
 * Removes personal data from a notification in the journal: replaces addresses by pseudonyms everywhere, removes the names
 * beside them, and replaces IP addresses of opens and clicks, and subjects unless they are kept. Ids and times stay, so
 * that an email's notifications still belong together. The signature is removed, because it no longer matches.
 * SES simulator addresses stay: they belong to nobody, and mark an email as a test.
 */
export function pseudonymisedNotification(body: string, options: PseudonymOptions): string {
  const { Message, ...envelope } = Envelope.parse(JSON.parse(body));
  const message = withReadDetail(jsonOf(Message));
  const text = textReplacer(options.pseudonyms, [...new Set(addressesIn(message))]);
  const rest = Object.entries(envelope)
    .filter(([field]) => !signatureFields.includes(field))
    .map(([field, value]) => [
      field,
      ownFields.includes(field) ? value : replaced(value, { ...options, text }),
    ]);
  const ending = Message.endsWith("\n") ? "\n" : "";
  const replacedMessage =
    message === undefined
      ? text(Message)
      : `${JSON.stringify(replaced(message, { ...options, text }))}${ending}`;
  return JSON.stringify({ ...Object.fromEntries(rest), Message: replacedMessage });
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The addresses in address fields, as written there. */
function addressesIn(value: unknown, field = ""): string[] {
  if (typeof value === "string")
    return addressFields.has(field) ? listedAddresses(value).map(({ asSent }) => asSent) : [];
  if (Array.isArray(value)) return value.flatMap((part) => addressesIn(part, field));
  return Object.entries(objectOf(value)).flatMap(([key, part]) => addressesIn(part, key.toLowerCase()));
}

type Replacing = PseudonymOptions & { text: TextReplacer };

/** @param field the name of the value's field, in lower case. */
function replaced(value: unknown, replacing: Replacing, field = ""): unknown {
  if (typeof value === "string") return replacedField(value, field, replacing);
  if (Array.isArray(value)) return value.map((part) => replaced(part, replacing, field));
  if (typeof value !== "object" || value === null) return value;
  const header = field === "headers" ? Header.safeParse(value) : undefined;
  if (header?.success) {
    const { name, value: content } = header.data;
    return { ...header.data, name: replacing.text(name), value: replacedHeader(name, content, replacing) };
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [
      replacing.text(key),
      replaced(part, replacing, key.toLowerCase()),
    ]),
  );
}

const Header = z.object({ name: z.string(), value: z.string() });

function replacedField(value: string, field: string, { text, pseudonyms, keepSubjects }: Replacing): string {
  if (isPersonalIp(field, value)) return pseudonyms.ofIp(value);
  if (field === "subject") return replacedSubject(value, { text, pseudonyms, keepSubjects });
  const addresses = addressFields.has(field) || namedAddress.test(value) ? listedAddresses(value) : [];
  return addresses.length === 0 ? replacedWords(value, text) : namelessList(addresses, pseudonyms);
}

/** IP addresses of servers are not personal; one in a field that SES may add later is assumed to be. */
const serverFields = new Set(["sourceip", "remotemtaip", "reportingmta", "ses:source-ip", "ses:outgoing-ip"]);
const ipAddress = z.union([z.ipv4(), z.ipv6()]);

function isPersonalIp(field: string, value: string): boolean {
  if (field === "ipaddress") return true;
  return /^[\da-f:.]{3,45}$/i.test(value) && !serverFields.has(field) && ipAddress.safeParse(value).success;
}

function replacedHeader(name: string, value: string, replacing: Replacing): string {
  if (/^subject$/i.test(name)) return replacedSubject(value, replacing);
  if (!addressHeader.test(name)) return replacedWords(value, replacing.text);
  const addresses = listedAddresses(value);
  if (addresses.length === 0) return replacedWords(value, replacing.text);
  return namelessList(addresses, replacing.pseudonyms);
}

/** A quoted name may contain commas and other addresses. */
function listedAddresses(value: string): Address[] {
  return value
    .replaceAll(/"(?:[^"\\]|\\.)*"(?!@)/g, "")
    .split(",")
    .flatMap(parseAddresses);
}

function namelessList(addresses: readonly Address[], pseudonyms: Pseudonyms): string {
  return addresses.map((address) => nameless(address, pseudonyms)).join(", ");
}

function nameless(address: { asSent: string; matched: string }, pseudonyms: Pseudonyms): string {
  return isTestAddress(address.matched) ? address.asSent : pseudonyms.ofAddress(address);
}

function replacedSubject(subject: string, { text, pseudonyms, keepSubjects }: Replacing): string {
  if (keepSubjects || subject === "") return replacedWords(subject, text);
  return pseudonyms.ofSubject(decodedWords(subject, "replace"));
}

/** Encoded words (RFC 2047) hide their content, so they are decoded if they contain an address. */
function replacedWords(value: string, text: TextReplacer): string {
  const decoded = decodedWords(value, "replace");
  const readable = text(decoded);
  return readable === decoded ? text(value) : readable;
}

function objectOf(value: unknown): object {
  return typeof value === "object" && value !== null ? value : {};
}
