import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import type { Random } from "../../../bench/corpus/random.ts";
import { bridged, recommendation, sendingStatus } from "../../support/eventbridge.ts";
import { type Fields, type SnsSigner, testTopic } from "../../support/sns-signer.ts";
import { pickFrom } from "./mutation.ts";

/*
 * Genuine messages, and a memory of what has been signed.
 */

const directory = new URL("../../fixtures/ses/", import.meta.url);
const payloads = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readFileSync(new URL(name, directory), "utf8"));
const inEventBridge = payloads
  .filter((text) => text.startsWith("{") && text.includes('"eventType"'))
  .map((text) => JSON.stringify(bridged(JSON.parse(text))));
const ofAccounts = [sendingStatus("Disabled"), recommendation("Open")].map((event) => JSON.stringify(event));

const oddMessages = [
  ...[
    "",
    "\n",
    " ",
    "null",
    "[]",
    "0",
    '"text"',
    "{",
    "\ufeff{}",
    "\u0000",
    "a\u0000b",
    "\u2028",
    "İ\u202e",
    "😀",
  ],
  ...[
    '{"eventType":"Send","mail":{"messageId":"m"}}\r\n',
    '{"mail":{}}',
    '{"eventType":"Send"}',
    "x".repeat(250_000),
  ],
  ...[
    `{"a":${"[".repeat(9_000)}${"]".repeat(9_000)}}`,
    '{"eventType":"\\ud800","mail":{"messageId":"\\u0000"}}',
  ],
];

export type SignedMessages = {
  /** A new genuine message of any kind. */
  any(random: Random): Fields;
  /** A new genuine notification in any form that SNS may give it. */
  notification(message: string, random: Random): Fields;
  /** Signs fields as they are. */
  sign(fields: Fields): Fields;
  /** Whether the test has signed these values for our topic, whatever else the fields hold. */
  wasSigned(fields: Fields): boolean;
};

export function signedMessages(signer: SnsSigner): SignedMessages {
  const signed = new Set<string>();

  function sign(fields: Fields): Fields {
    if (fields["TopicArn"] === testTopic) signed.add(identityOf(fields));
    return signer.sign(fields);
  }

  function notification(message: string, random: Random): Fields {
    const subject = pickFrom([null, null, null, "Amazon SES", "", "Ünï 😀 \u2028"], random);
    return sign({
      Type: "Notification",
      ...commonFields(signer, random),
      ...(subject !== null && { Subject: subject }),
      Message: message,
      UnsubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:x",
    });
  }

  return {
    sign,
    notification,
    wasSigned: (fields) => signed.has(identityOf(fields)),
    any(random) {
      const kind = random.below(10);
      if (kind === 0) return sign(confirmation(signer, random));
      const texts = pickFrom([payloads, payloads, payloads, inEventBridge, ofAccounts, oddMessages], random);
      return notification(withFreshIds(pickFrom(texts, random), random), random);
    },
  };
}

function confirmation(signer: SnsSigner, random: Random): Fields {
  return {
    Type: pickFrom(["SubscriptionConfirmation", "UnsubscribeConfirmation"], random),
    ...commonFields(signer, random),
    Message: "You have chosen to subscribe to the topic.",
    Token: random.hex(40),
    SubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
  };
}

/** A few days, because each gets a partition. */
const times = [
  "2026-11-20T12:00:00.000Z",
  "2026-11-20T12:00:00.001Z",
  "2026-11-21T23:59:59.999Z",
  "2026-02-31T00:00:00.000Z",
  "2024-02-29T00:00:00.000Z",
  "2089-12-31T23:59:59.999Z",
];

function commonFields({ certificateUrl }: SnsSigner, random: Random): Fields {
  const id = random.uuid();
  return {
    MessageId: random.below(20) === 0 ? id.toUpperCase() : id,
    TopicArn: testTopic,
    Timestamp: random.below(5) === 0 ? pickFrom(times, random) : times[0],
    SignatureVersion: pickFrom(["1", "2", "2"], random),
    SigningCertURL: certificateUrl,
  };
}

const signedFields = [
  "Type",
  "MessageId",
  "TopicArn",
  "Timestamp",
  "Message",
  "Subject",
  "Token",
  "SubscribeURL",
];
/** Of a notification the last two are not signed. */
const namesOf = (type: unknown) => (type === "Notification" ? signedFields.slice(0, 6) : signedFields);

/** The values, and not the text that is signed: that one can be cut into other values. */
function identityOf(fields: Fields): string {
  const values = namesOf(fields["Type"]).map((name) => fields[name] ?? null);
  return createHash("sha256").update(JSON.stringify(values)).digest("base64");
}

const messageId = /[0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-\d{6}/g;
const bridgeId = "3cc76530-9842-03a9-fdef-e4e4f667cf4e";
/** So that emails have a few events each, as emails do. */
const eventsOfAnEmail = 5;

/** Gives a payload the id of an email, and an EventBridge event its own. */
export function withFreshIds(payload: string, random: Random): string {
  const id = `0100019d27eaf07e-8f3f6347-7017-4b1f-a3bb-${random
    .below(2 ** 32 / eventsOfAnEmail)
    .toString(16)
    .padStart(12, "0")}-000000`;
  return payload.replaceAll(messageId, id).replaceAll(bridgeId, random.uuid());
}
