import { describe, expect, test } from "vitest";
import { notificationsIn } from "../../../src/tools/captures/prepare.ts";

const payload = { eventType: "Send", mail: { messageId: "m" } };
const envelope = {
  Type: "Notification",
  MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
  TopicArn: "arn:aws:sns:eu-west-1:123456789012:ses-events",
  Message: `${JSON.stringify(payload)}\n`,
  Timestamp: "2026-11-20T10:00:00.000Z",
  SignatureVersion: "1",
  Signature: "c2ln",
  SigningCertURL: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
  UnsubscribeURL: "https://sns.eu-west-1.amazonaws.com/",
};
const { Signature: _, ...unsigned } = envelope;
const { SigningCertURL, UnsubscribeURL, ...others } = envelope;
/** As Lambda gets it. */
const sns = { ...others, Subject: null, SigningCertUrl: SigningCertURL, UnsubscribeUrl: UnsubscribeURL };
const eventBridge = {
  "detail-type": "Email Sent",
  source: "aws.ses",
  time: "2026-11-20T10:00:01Z",
  detail: payload,
};
/** With white space, as nothing of ours writes it. */
const signedText = JSON.stringify(envelope, null, 1);

const found = (value: unknown) => notificationsIn(value, JSON.stringify(value));
const signed = [{ kind: "signed", envelope, text: signedText }];
const bare = [{ kind: "payload", message: JSON.stringify(payload), payload }];

describe("a signed envelope is found unchanged in", () => {
  test.each([
    ["messages of SQS", { Messages: [{ MessageId: "1", ReceiptHandle: "x", Body: signedText }] }],
    ["a message of SQS", { MessageId: "1", ReceiptHandle: "x", Body: signedText }],
    ["an SQS event of Lambda", { Records: [{ messageId: "1", eventSource: "aws:sqs", body: signedText }] }],
    ["a record of such", { messageId: "1", eventSource: "aws:sqs", body: signedText }],
    ["an array", [{ MessageId: "1", Body: signedText }]],
    ["a text", signedText],
  ])("%s", (_form, value) => {
    expect(found(value)).toEqual(signed);
  });
});

test.each([
  ["an SNS event of Lambda", { Records: [{ EventSource: "aws:sns", Sns: sns }] }],
  ["a record of such", { EventSource: "aws:sns", Sns: sns }],
])("in %s it gets the names that SNS posts, and keeps the signature", (_form, value) => {
  const [one] = found(value);
  expect(one).toMatchObject({ kind: "signed", envelope });
  expect(JSON.parse(one?.kind === "signed" ? one.text : "")).toEqual(envelope);
});

describe("a bare payload is found in", () => {
  test.each([
    ["itself", payload],
    ["messages of SQS", { Messages: [{ MessageId: "1", Body: `${JSON.stringify(payload, null, 2)}\n` }] }],
    ["an SQS event of Lambda", { Records: [{ messageId: "1", body: JSON.stringify(payload) }] }],
    ["an array", [payload]],
  ])("%s", (_form, value) => {
    expect(found(value)).toEqual(bare);
  });

  test.each([
    ["itself", eventBridge],
    ["a message of SQS", { Messages: [{ MessageId: "1", Body: JSON.stringify(eventBridge) }] }],
  ])("the envelope of EventBridge, as the receiver reads it, in %s", (_form, value) => {
    const message = JSON.stringify(eventBridge);
    expect(found(value)).toEqual([{ kind: "payload", message, payload: eventBridge }]);
  });
});

test("an envelope without a signature is distinguished from one with it, and from a payload", () => {
  expect(found(unsigned)).toEqual([{ kind: "unsigned", envelope: unsigned }]);
  expect(found({ Message: "x" })).toMatchObject([{ kind: "payload" }]);
});

test("several are found in order, and none if there are none", () => {
  const messages = [unsigned, payload, envelope].map((one, n) => ({
    MessageId: `${n}`,
    Body: JSON.stringify(one),
  }));
  expect(found({ Messages: messages }).map(({ kind }) => kind)).toEqual(["unsigned", "payload", "signed"]);
  expect(found({ Messages: [] })).toEqual([]);
  expect(found({ Records: [] })).toEqual([]);
});

test("a text that is not JSON is a plain-text message", () => {
  const words = "Successfully validated SNS topic for Amazon SES event publishing.";
  for (const value of [words, { Messages: [{ MessageId: "1", Body: words }] }])
    expect(found(value)).toEqual([{ kind: "payload", message: words, payload: words }]);
});

test("foreign records and endless nesting are treated as SES payloads", () => {
  expect(found({ Records: [{ eventSource: "aws:s3" }] })).toMatchObject([{ kind: "payload" }]);
  let nested: unknown = payload;
  for (let depth = 0; depth < 10; depth++) nested = { MessageId: "1", Body: JSON.stringify(nested) };
  expect(found(nested)).toHaveLength(1);
});
