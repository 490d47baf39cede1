import { createPublicKey, verify } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseSnsMessage } from "../../../src/domain/mail/sns-message.ts";
import { type SnsSigner, snsSigner, testTopic } from "../../support/sns-signer.ts";

/*
 * The canonical re-split: the text under an SNS signature is only lines, so that what AWS signed for the
 * attacker's own topic can be cut into other fields, which name the victim's.
 */

let directory: string;
let attacker: SnsSigner;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-re-split-"));
  attacker = await snsSigner(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const attackersTopic = "arn:aws:sns:eu-west-1:666666666666:evil";
const genuineId = "11111111-1111-4111-8111-111111111111";
const forgedId = "22222222-2222-4222-8222-222222222222";
const time = "2026-11-20T12:00:00.000Z";
const forgedMessage = '{"eventType":"Complaint"}';

const notificationFields = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const confirmationFields = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/** The text to sign, built from the documentation and apart from the product. */
function signedText(fields: Record<string, string>, order: string[]): string {
  return order
    .filter((name) => name in fields)
    .map((name) => `${name}\n${fields[name]}\n`)
    .join("");
}

const forgedHead = { Message: forgedMessage, MessageId: forgedId };
const genuineTail = `Timestamp\n${time}\nTopicArn\n${attackersTopic}\nType\nNotification`;
const forgeries: [where: string, order: string[], forged: Record<string, string>][] = [
  [
    "Type",
    notificationFields,
    {
      ...forgedHead,
      Timestamp: time,
      TopicArn: testTopic,
      Type: `Notification\nMessageId\n${genuineId}\n${genuineTail}`,
    },
  ],
  [
    "Type of a confirmation",
    confirmationFields,
    {
      ...forgedHead,
      SubscribeURL: "https://evil.example/",
      Timestamp: time,
      Token: "token",
      TopicArn: testTopic,
      Type: `SubscriptionConfirmation\nMessageId\n${genuineId}\n${genuineTail}`,
    },
  ],
  [
    "TopicArn",
    notificationFields,
    {
      ...forgedHead,
      Timestamp: time,
      TopicArn: `${testTopic}\nMessageId\n${genuineId}\nTimestamp\n${time}\nTopicArn\n${attackersTopic}`,
      Type: "Notification",
    },
  ],
  [
    "Timestamp",
    notificationFields,
    {
      ...forgedHead,
      Timestamp: `${time}\nMessageId\n${genuineId}\nTimestamp\n${time}`,
      TopicArn: attackersTopic,
      Type: "Notification",
    },
  ],
  [
    "Subject",
    notificationFields,
    {
      ...forgedHead,
      Subject: `Hello\nMessageId\n${genuineId}`,
      Timestamp: time,
      TopicArn: attackersTopic,
      Type: "Notification",
    },
  ],
  [
    "MessageId",
    notificationFields,
    {
      Message: forgedMessage,
      MessageId: `${forgedId}\nMessageId\n${genuineId}`,
      Timestamp: time,
      TopicArn: attackersTopic,
      Type: "Notification",
    },
  ],
];

describe("a signed notification that is cut into other fields", () => {
  test.each(forgeries)(
    "with the tail in %s has the same signed text, and is refused",
    (where, order, forged) => {
      // What the attacker publishes: the forged text up to where the genuine fields take over.
      const text = signedText(forged, order);
      const genuineEnd = `\nMessageId\n${genuineId}\n${genuineTail}\n`;
      const published = text.slice("Message\n".length, text.length - genuineEnd.length);
      const genuine = attacker.notification(published, {
        MessageId: genuineId,
        Timestamp: time,
        TopicArn: attackersTopic,
      }) as Record<string, string>;
      const unsigned = { SignatureVersion: "2", SigningCertURL: attacker.certificateUrl };
      const body = JSON.stringify({ ...forged, ...unsigned, Signature: genuine["Signature"] });

      expect(Buffer.from(text).equals(Buffer.from(signedText(genuine, notificationFields)))).toBe(true);
      expect(isSigned(text, genuine)).toBe(true);
      expect(() => parseSnsMessage(JSON.stringify(genuine))).not.toThrow();
      expect(() => parseSnsMessage(body)).toThrow(
        expect.objectContaining({
          status: 400,
          causeCode: "not_sns",
          message: expect.stringContaining(`: ${where.split(" ")[0]} `),
        }),
      );
    },
  );
});

function isSigned(text: string, { Signature = "" }: Record<string, string>): boolean {
  const key = createPublicKey(attacker.certificate);
  return verify("RSA-SHA256", Buffer.from(text), key, Buffer.from(Signature, "base64"));
}
