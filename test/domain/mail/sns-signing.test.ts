import { describe, expect, test } from "vitest";
import {
  confirmationUrl,
  isTopicArn,
  parseSnsMessage,
  type SnsConfirmation,
  snsHost,
} from "../../../src/domain/mail/sns-message.ts";
import { testTopic } from "../../support/sns-signer.ts";
import { confirmations, isTheSignedText, setUp, signer } from "./sns-messages.ts";

setUp();

describe("stringToSign", () => {
  test.each(["1", "2"])("is the text that AWS signs, with scheme %s", (version) => {
    const cases = [
      signer.notification("text", { SignatureVersion: version }),
      signer.notification('{"a":1}\n', { SignatureVersion: version }),
      signer.notification("é 😀\r\n\n", { SignatureVersion: version, Subject: "Ünï" }),
      signer.notification("", { SignatureVersion: version, Subject: "" }),
      ...confirmations.map((type) => signer.confirmation(type, { SignatureVersion: version })),
    ];

    expect(cases.map((fields) => isTheSignedText(fields))).toEqual(cases.map(() => true));
  });

  test("keeps the trailing newline of Message", () => {
    const signed = signer.notification("text\n");

    expect(isTheSignedText(signed)).toBe(true);
    expect(isTheSignedText({ ...signed, Message: "text" }, signed)).toBe(false);
  });

  test("leaves out a Subject that is absent or null, and not one that is there", () => {
    const without = signer.notification("text");
    const withSubject = signer.sign({ ...without, Subject: "Hello" });
    const { Subject: _, ...taken } = withSubject;

    expect(isTheSignedText({ ...without, Subject: null }, without)).toBe(true);
    expect(isTheSignedText({ ...without, Subject: "" }, without)).toBe(false);
    expect(isTheSignedText({ ...without, Subject: "Hello" }, without)).toBe(false);
    expect(isTheSignedText(withSubject)).toBe(true);
    expect(isTheSignedText(taken, withSubject)).toBe(false);
  });

  test("covers Token and SubscribeURL of a confirmation", () => {
    const signed = signer.confirmation("SubscriptionConfirmation");

    expect(isTheSignedText({ ...signed, Token: "other" }, signed)).toBe(false);
    expect(isTheSignedText({ ...signed, SubscribeURL: "https://other/" }, signed)).toBe(false);
    expect(isTheSignedText({ ...signed, Type: "UnsubscribeConfirmation" }, signed)).toBe(false);
  });

  test("does not cover a Subject that a confirmation may carry", () => {
    const signed = signer.confirmation("SubscriptionConfirmation");

    expect(parseSnsMessage(JSON.stringify({ ...signed, Subject: "x" }))).not.toHaveProperty("Subject");
  });
});

describe("snsHost", () => {
  test.each([
    ["arn:aws:sns:eu-west-1:123456789012:t", "sns.eu-west-1.amazonaws.com"],
    ["arn:aws:sns:ap-southeast-5:123456789012:t.fifo", "sns.ap-southeast-5.amazonaws.com"],
    ["arn:aws-us-gov:sns:us-gov-west-1:123456789012:t", "sns.us-gov-west-1.amazonaws.com"],
    ["arn:aws-cn:sns:cn-northwest-1:123456789012:t", "sns.cn-northwest-1.amazonaws.com.cn"],
    ["arn:aws-eusc:sns:eusc-de-east-1:123456789012:t", "sns.eusc-de-east-1.amazonaws.eu"],
  ])("of %s is %s", (topicArn, host) => {
    expect([isTopicArn(topicArn), snsHost(topicArn)]).toEqual([true, host]);
  });

  test.each([
    "arn:aws:sns:eusc-de-east-1:123456789012:t",
    "arn:aws-eusc:sns:eu-west-1:123456789012:t",
    "arn:aws:sns:cn-north-1:123456789012:t",
    "arn:aws-us-gov:sns:us-east-1:123456789012:t",
    "arn:aws-eu:sns:eu-west-1:123456789012:t",
    "arn:aws:sns:eu-west-1:123456789012:t:11111111-2222-4333-8444-555555555555",
    "arn:aws:sns:eu-west-1:123456789012:t\n",
    "arn:aws:sns:eu-west-1/x:123456789012:t",
    "arn:aws:sns::123456789012:t",
  ])("%j is not the ARN of a topic", (text) => {
    expect(isTopicArn(text)).toBe(false);
  });
});

describe("confirmationUrl", () => {
  test("is built from topic and token, which it encodes, and ignores SubscribeURL", () => {
    const message = parseSnsMessage(
      JSON.stringify(
        signer.confirmation("SubscriptionConfirmation", {
          Token: "a&TopicArn=evil#/?=%+ é",
          SubscribeURL: "https://evil.example/?Action=ConfirmSubscription",
        }),
      ),
    ) as SnsConfirmation;

    const url = new URL(confirmationUrl(message));

    expect(url.origin + url.pathname + url.hash).toBe("https://sns.eu-west-1.amazonaws.com/");
    expect([...url.searchParams]).toEqual([
      ["Action", "ConfirmSubscription"],
      ["TopicArn", testTopic],
      ["Token", "a&TopicArn=evil#/?=%+ é"],
    ]);
  });
});
