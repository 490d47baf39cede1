import { describe, expect, test } from "vitest";
import { parseSnsMessage } from "../../../src/domain/mail/sns-message.ts";
import { testTopic } from "../../support/sns-signer.ts";
import { confirmations, isTheSignedText, notText, refusal, secret, setUp, signer } from "./sns-messages.ts";

setUp();

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
