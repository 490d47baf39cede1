import { createPublicKey, verify } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RefusedError } from "../../../src/domain/errors.ts";
import {
  confirmationUrl,
  isTopicArn,
  parseSnsMessage,
  type SnsConfirmation,
  signatureDigest,
  snsHost,
  stringToSign,
} from "../../../src/domain/mail/sns-message.ts";
import { type Fields, type SnsSigner, snsSigner, testTopic } from "../../support/sns-signer.ts";

let directory: string;
let signer: SnsSigner;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-sns-message-"));
  signer = await snsSigner(directory);
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function refusal(body: string): RefusedError {
  try {
    parseSnsMessage(body);
  } catch (error) {
    if (error instanceof RefusedError) return error;
    throw error;
  }
  throw new Error("it was not refused");
}

/** Whether our text is the one that the signer, written apart from it, has signed. */
function isTheSignedText(fields: Fields, signed = fields): boolean {
  const message = parseSnsMessage(JSON.stringify(fields));
  return verify(
    signatureDigest(message),
    Buffer.from(stringToSign(message)),
    createPublicKey(signer.certificate),
    Buffer.from(String(signed["Signature"]), "base64"),
  );
}

const confirmations = ["SubscriptionConfirmation", "UnsubscribeConfirmation"];
const notText = [undefined, null, 5, true, {}, ["jane@example.com"]];
const secret = "jane@example.com";

describe("parseSnsMessage", () => {
  test("reads a notification with the fields that are signed, and drops the others", () => {
    const fields = signer.notification("text\n", {
      Subject: "Hello",
      UnsubscribeURL: "https://example.com/",
    });
    const { UnsubscribeURL: _, ...kept } = fields;

    expect(parseSnsMessage(JSON.stringify(fields))).toEqual(kept);
  });

  test.each(confirmations)("reads a %s", (type) => {
    const fields = signer.confirmation(type);

    expect(parseSnsMessage(JSON.stringify(fields))).toEqual(fields);
  });

  test("lets Message hold line breaks and control characters", () => {
    const fields = signer.notification("a\u0000\u001f\r\n\u007fb\n");

    expect(parseSnsMessage(JSON.stringify(fields)).Message).toBe("a\u0000\u001f\r\n\u007fb\n");
  });

  test.each(["", "Hello", "{", `{"Message":"${secret}"`])(
    "refuses %j, which is not JSON, without quoting it",
    (body) => {
      const { status, causeCode, message } = refusal(body);

      expect([status, causeCode, message]).toEqual([400, "not_json", "The body is not JSON"]);
    },
  );

  test.each(["null", "[]", "5", '"text"', "true"])("refuses the JSON value %s", (body) => {
    expect(refusal(body)).toMatchObject({ status: 400, causeCode: "not_sns" });
  });

  const replacement = "\ufffd";
  const half = "\ud83d";

  test.each([
    ["Message", () => signer.notification(`a${replacement}b`)],
    ["Subject", () => signer.notification("text", { Subject: replacement })],
    ["Message", () => signer.confirmation("SubscriptionConfirmation", { Message: replacement })],
    ["Token", () => signer.confirmation("SubscriptionConfirmation", { Token: replacement })],
    ["SubscribeURL", () => signer.confirmation("UnsubscribeConfirmation", { SubscribeURL: replacement })],
  ])("refuses half a surrogate pair in place of a signed U+FFFD in %s", (field, make) => {
    const signed = JSON.stringify(make());
    expect(() => parseSnsMessage(signed)).not.toThrow();

    // In JSON.stringify's output, halves are escaped.
    for (const other of [half, "\udc00", `${half}${half}`]) {
      const swapped = signed.replace(replacement, JSON.stringify(other).slice(1, -1));
      expect(refusal(swapped)).toMatchObject({ status: 400, causeCode: "not_sns" });
      expect(refusal(swapped).message).toBe(
        `Not an SNS message: ${field} holds half a surrogate pair, which is no Unicode character`,
      );
    }
    expect(refusal(signed.replace(replacement, half))).toMatchObject({ status: 400, causeCode: "not_utf8" });
  });

  test("takes whole surrogate pairs, and a U+FFFD that is signed", () => {
    const fields = signer.notification(`\u{1f600}${replacement}`, { Subject: "\u{1f600}" });
    expect(isTheSignedText(fields)).toBe(true);
  });

  test.each([
    ["at its end", (json: string) => json.replace(/\}$/, ',"Message":"other"}')],
    ["at its beginning", (json: string) => json.replace("{", '{"Message" : "other",')],
    ["written another way", (json: string) => json.replace("{", '{"\\u004dessage":"other",')],
    ["twice the same", (json: string) => json.replace(/\}$/, ',"Type":"Notification"}')],
    ["in a field that is not signed", (json: string) => json.replace(/\}$/, ',"x":[{"a":1,"a":1}]}')],
    ["that is __proto__", (json: string) => json.replace(/\}$/, ',"__proto__":1,"__proto__":2}')],
  ])("refuses a field that is given twice, %s", (_where, repeat) => {
    const json = JSON.stringify(signer.notification('text with "a": 1, \\ and \\" in it\n'));
    expect(parseSnsMessage(json).Message).toContain("text");

    expect(refusal(repeat(json)).message).toBe("Not an SNS message: a field is given twice");
  });

  test.each([
    `\ufeff{}`,
    `${"[".repeat(400_000)}${"]".repeat(400_000)}`,
    `{"a":"${"\\\\".repeat(400_000)}"}`,
  ])("refuses what is odd and large as what it is", (body) => {
    expect(refusal(body)).toMatchObject({ status: 400 });
  });

  const wrong: [field: string, values: unknown[]][] = [
    [
      "Type",
      [...notText, "", "notification", "Notification\n", `Notification ${secret}`, "Foo", "__proto__"],
    ],
    ["Message", notText],
    [
      "MessageId",
      [
        ...notText,
        "",
        secret,
        "11111111-1111-4111-8111-11111111111",
        "11111111-1111-4111-8111-111111111111\n",
        "\n11111111-1111-4111-8111-111111111111",
        "{11111111-1111-4111-8111-111111111111}",
        "11111111111141118111111111111111",
      ],
    ],
    [
      "TopicArn",
      [
        ...notText,
        "",
        secret,
        "arn:aws:sns:eu-west-1:123456789012:",
        "arn:aws:sqs:eu-west-1:123456789012:ses-events",
        "arn:aws:sns:eu-west-1:12345678901:ses-events",
        "arn:aws:sns:EU-WEST-1:123456789012:ses-events",
        "arn:aws-other:sns:eu-west-1:123456789012:ses-events",
        "arn:aws:sns:eu-west-1:123456789012:ses-events:subscription",
        `${testTopic}\n`,
        `${testTopic}\nType\nNotification`,
        `arn:aws:sns:evil.example/?:123456789012:ses-events`,
      ],
    ],
    [
      "Timestamp",
      [
        ...notText,
        "",
        secret,
        "2026-11-20T12:00:00Z",
        "2026-11-20T12:00:00.000",
        "2026-11-20T12:00:00.000+00:00",
        "2026-11-20 12:00:00.000Z",
        "2026-11-20T12:00:00.000Z\n",
        "2026-13-20T12:00:00.000Z",
        "2026-11-20T25:00:00.000Z",
        "1763640000000",
      ],
    ],
    ["SignatureVersion", [...notText, "", "0", "3", "1\n", `1 ${secret}`]],
    ["Signature", [...notText, "", "a b", `not base64 ${secret}`, "YQ==\n", "YQ==="]],
    ["SigningCertURL", [...notText, `https://a/\n${secret}`, "https://a/\u0000", "https://a/\u007f"]],
    ["Subject", [5, true, {}, [secret], `a\n${secret}`, "a\r", "a\tb", "\u0000", "\u007f"]],
  ];
  test.each(wrong.flatMap(([field, values]) => values.map((value) => [field, value] as const)))(
    "refuses a notification whose %s is %j, naming the field and never the value",
    (field, value) => {
      const error = refusal(JSON.stringify({ ...signer.notification("text\n"), [field]: value }));

      expect([error.status, error.causeCode]).toEqual([400, "not_sns"]);
      expect(error.message).toMatch(new RegExp(`^Not an SNS message: ${field} `));
      expect(error.message).not.toContain(secret);
    },
  );

  test.each(
    confirmations.flatMap((type) => ["Token", "SubscribeURL"].map((field) => [type, field] as const)),
  )("refuses a %s whose %s is not a text of one line", (type, field) => {
    for (const value of [...notText, `a\n${secret}`, "\u0000", "a\u007f"]) {
      const error = refusal(JSON.stringify({ ...signer.confirmation(type), [field]: value }));

      expect([error.status, error.causeCode]).toEqual([400, "not_sns"]);
      expect(error.message).toMatch(new RegExp(`^Not an SNS message: ${field} `));
      expect(error.message).not.toContain(secret);
    }
  });

  test("refuses an empty Token", () => {
    const body = JSON.stringify({ ...signer.confirmation("SubscriptionConfirmation"), Token: "" });

    expect(refusal(body)).toMatchObject({
      status: 400,
      message: "Not an SNS message: Token is not accepted",
    });
  });
});

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
