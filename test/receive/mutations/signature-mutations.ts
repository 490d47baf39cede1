import type { Random } from "../../../bench/corpus/random.ts";
import { type Fields, type SnsSigner, testTopic } from "../../support/sns-signer.ts";
import { type Effect, type Mutations, pickFrom } from "./mutation.ts";

/*
 * Envelopes with a signature of something else, or of somebody else.
 */

/** Both sign in the name of the same host: `ours` with the key that AWS has, the stranger with one of their own. */
export type Signers = { ours: SnsSigner; stranger: SnsSigner };
/** @param other another genuine message. */
type MutateSignature = (fields: Fields, random: Random, signers: Signers, other: Fields) => Effect;

const bytesOf = (fields: Fields) => Buffer.from(String(fields["Signature"]), "base64");

export const signatureMutations: Mutations<MutateSignature> = {
  "another version": (fields) => {
    fields["SignatureVersion"] = fields["SignatureVersion"] === "1" ? "2" : "1";
    return "fatal";
  },
  "another bit": (fields, random) => {
    const bytes = bytesOf(fields);
    const place = random.below(bytes.length);
    bytes.writeUInt8((bytes[place] ?? 0) ^ (1 << random.below(8)), place);
    fields["Signature"] = bytes.toString("base64");
    return "fatal";
  },
  shortened: (fields, random) => {
    const bytes = bytesOf(fields);
    fields["Signature"] = bytes.subarray(0, random.below(bytes.length)).toString("base64");
    return "fatal";
  },
  lengthened: (fields, random) => {
    const more = Buffer.alloc(1 + random.below(300), random.below(256));
    const parts = random.below(2) === 0 ? [bytesOf(fields), more] : [more, bytesOf(fields)];
    fields["Signature"] = Buffer.concat(parts).toString("base64");
    return "fatal";
  },
  "another spelling": (fields, random) => {
    const text = String(fields["Signature"]);
    const spelled = [
      text.replace(/=+$/, ""),
      `${text}=`,
      ` ${text}`,
      text.replace(/.{64}/g, "$&\n"),
      `${text}====`,
    ];
    fields["Signature"] = pickFrom([...spelled, bytesOf(fields).toString("base64url")], random);
    return "open";
  },
  "in hexadecimal": (fields) => {
    fields["Signature"] = bytesOf(fields).toString("hex");
    return "fatal";
  },
  zeros: (fields, random) => {
    fields["Signature"] = Buffer.alloc(256, pickFrom([0, 1, 0xff], random)).toString("base64");
    return "fatal";
  },
  "of another message": (fields, _random, _signers, other) => {
    fields["Signature"] = other["Signature"];
    return other["MessageId"] === fields["MessageId"] ? "open" : "fatal";
  },
  "of a stranger": (fields, _random, { stranger }) => {
    fields["Signature"] = stranger.sign(fields)["Signature"];
    return "fatal";
  },
  "of a stranger, with their certificate": (fields, _random, { stranger }) => {
    Object.assign(fields, stranger.sign({ ...fields, SigningCertURL: stranger.certificateUrl }));
    return "unverified";
  },
  "of another text": (fields, random, { ours }) => {
    const texts = otherTexts(fields);
    const isOfVersion1 = fields["SignatureVersion"] === "1";
    fields["Signature"] = ours.signText(pickFrom(texts, random), isOfVersion1 ? "RSA-SHA1" : "RSA-SHA256");
    return "fatal";
  },
  // A lone surrogate is hashed as the character that replaces it.
  "of a replacement character": (fields, random, { ours }) => {
    fields["Message"] = `${fields["Message"]}\ufffd`;
    fields["Signature"] = ours.sign(fields)["Signature"];
    fields["Message"] = String(fields["Message"]).replace("\ufffd", pickFrom(["\ud800", "\udc00"], random));
    return "fatal";
  },
  "with another digest": (fields, random, { ours }) => {
    const digest = pickFrom(["RSA-SHA512", "RSA-SHA384", "RSA-MD5"], random);
    fields["Signature"] = ours.signText(notificationText(fields), digest);
    return "fatal";
  },
  "on another host": (fields, random) => {
    fields["SigningCertURL"] = pickFrom(otherUrls(String(fields["SigningCertURL"])), random);
    return "unverified";
  },
  // AWS signs what anybody publishes to a topic of their own.
  "for another topic": (fields, random, { ours }) => {
    fields["TopicArn"] = pickFrom(otherTopics, random);
    Object.assign(fields, ours.sign(fields));
    return "fatal";
  },
  // A time at which the certificate was not valid yet, or any more.
  "at another time": (fields, random, { ours }) => {
    fields["Timestamp"] = pickFrom(otherTimes, random);
    Object.assign(fields, ours.sign(fields));
    return "fatal";
  },
};

const otherTopics = [
  testTopic.replace("123456789012", "666666666666"),
  ...[
    testTopic.toUpperCase(),
    `${testTopic}x`,
    `${testTopic} `,
    ` ${testTopic}`,
    `${testTopic}\n`,
    `${testTopic}.fifo`,
  ],
  ...[testTopic.replace("eu-west-1", "us-east-1"), testTopic.replace("arn:aws:", "arn:aws-cn:"), "", "*"],
  ...[
    "arn:aws:sns:eu-west-1:123456789012:ses-event\u017f",
    `${testTopic}:8b7d1c4e`,
    "SNS_RAW_TOKEN",
    "__proto__",
  ],
];

const otherTimes = [
  ...[
    "0000-01-01T00:00:00.000Z",
    "1970-01-01T00:00:00.000Z",
    "2019-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59.999Z",
  ],
  ...[
    "2026-11-20T12:00:00Z",
    "2026-11-20 12:00:00.000Z",
    "2026-13-01T00:00:00.000Z",
    "2026-11-20T12:00:00.000+00:00",
  ],
  ...["+012026-11-20T12:00:00.000Z", "2026-11-20T25:00:00.000Z", "2026-11-20T12:00:00.000Z\n", "", "now"],
];

function otherUrls(url: string): string[] {
  const { host, pathname } = new URL(url);
  return [
    ...[url.replace("https:", "http:"), url.replace(host, `${host}:443`), url.replace(host, `user@${host}`)],
    ...[
      `${url}?`,
      `${url}#`,
      `${url}?a=b`,
      `https://evil.example${pathname}`,
      `https://${host}.evil.example${pathname}`,
    ],
    ...[
      url.replace(host, "sns.us-east-1.amazonaws.com"),
      url.replace(host, "sns.s3-us-west-2.amazonaws.com"),
    ],
    ...[
      `https://evil.example/@${host}${pathname}`,
      url.replace("/Simple", "//Simple"),
      `${url}.pem`,
      `${url}%00`,
    ],
    ...[
      url.toUpperCase(),
      url.replace("https://", "https:\\\\"),
      `https://${host}/other/..${pathname}`,
      "",
      "file:///etc/passwd",
    ],
    ...[`https://${host}/SimpleNotificationService-00.pem`, `https://${host}/SimpleNotificationService-.pem`],
  ];
}

/** What AWS signs of a notification, from its documentation. */
function notificationText(
  fields: Fields,
  order = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
) {
  const given = order.filter((name) => name in fields);
  return given.map((name) => `${name}\n${fields[name]}\n`).join("");
}

function otherTexts(fields: Fields): string[] {
  const text = notificationText(fields);
  const withoutLast = text.slice(0, -1);
  return [
    ...[
      withoutLast,
      `${text}\n`,
      text.replaceAll("\n", "\r\n"),
      text.replaceAll("\n", ""),
      "",
      text.trim(),
      text.toLowerCase(),
    ],
    ...[JSON.stringify(fields), String(fields["Message"]), Buffer.from(text).toString("base64")],
    notificationText(fields, ["Type", "TopicArn", "Timestamp", "Subject", "MessageId", "Message"]),
    notificationText(fields, ["Message", "MessageId", "Timestamp", "TopicArn"]),
    text.replace("\nTimestamp\n", "\nSubject\nundefined\nTimestamp\n"),
    text.replace("\nType\n", "\nToken\n\nType\n"),
  ].filter((one) => one !== (fields["Type"] === "Notification" ? text : undefined));
}
