import fc from "fast-check";
import { expect, test } from "vitest";
import { RefusedError } from "../../../src/domain/errors.ts";
import { parseSnsMessage } from "../../../src/domain/mail/sns-message.ts";
import { atLength } from "../../support/length.ts";
import { secret } from "./sns-messages.ts";

const usual: [name: string, value: string][] = [
  ["Type", "Notification"],
  ["MessageId", "11111111-1111-4111-8111-111111111111"],
  ["TopicArn", "arn:aws:sns:eu-west-1:123456789012:ses-events"],
  ["Subject", "Amazon SES Email Event Notification"],
  ["Message", `{"eventType":"Send","mail":{"destination":["${secret}"],"tags":{}}}\n`],
  ["Timestamp", "2026-11-20T12:00:00.000Z"],
  ["SignatureVersion", "1"],
  ["Signature", "YWJj"],
  ["SigningCertURL", "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"],
  ["UnsubscribeURL", "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe"],
];
const literal = fc
  .oneof(
    fc.constantFrom(
      ...[
        "",
        "a",
        "5",
        "1",
        "2",
        "3",
        "é",
        "\ud800",
        "\u0000",
        "\u007f",
        "\n",
        '"',
        "\\",
        '","',
        '",\n  "',
        'a"',
      ],
      ...[
        "SubscriptionConfirmation",
        "Notification\n",
        "2026-02-31T12:00:00.000Z",
        "2026-13-01T12:00:00.000Z",
      ],
      ...[
        "2026-11-20T24:00:00.000Z",
        "2026-11-20T12:00:60.000Z",
        "2026-11-20T12:00:00Z",
        "YQ==",
        "YQ",
        "YR==",
        "Y-_=",
      ],
      ...[
        "YQ===",
        "Y Q=",
        "=",
        "arn:aws:sns:cn-north-1:123456789012:a",
        "arn:aws-cn:sns:cn-north-1:123456789012:a",
      ],
      ...[
        "arn:aws:sqs:eu-west-1:123456789012:a",
        "arn:aws:sns:eu-west-1:123456789012:a.fifo",
        "A".repeat(36),
      ],
    ),
    fc.string({ unit: "binary" }),
  )
  .map((value) => JSON.stringify(value));
const written = fc.oneof(
  { weight: 4, arbitrary: literal },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        "5",
        "null",
        "true",
        "[]",
        "{}",
        '{"Type":"x","Type":"y"}',
        '["a","b"]',
        '"\\u0031"',
        '"\\u004eotification"',
      ],
      ...[
        '"a',
        'a"',
        '"a\nb"',
        '"a\u0001"',
        '"\\x"',
        '"a","Type":"Notification"',
        '"a",\n  "Subject" : "b"',
        '"\\ud800"',
      ],
    ),
  },
);
const name = fc.constantFrom(
  ...usual.map(([one]) => one),
  "Token",
  "SubscribeURL",
  "x",
  "__proto__",
  "\\u0054ype",
);
type Fields = [name: string, literal: string][];
const change = fc.oneof(
  fc.tuple(fc.nat(), written).map(([at, value]) => (fields: Fields) => {
    const field = fields[at % fields.length];
    if (field) field[1] = value;
  }),
  fc.nat().map((at) => (fields: Fields) => void fields.splice(at % fields.length, 1)),
  fc.tuple(fc.nat(), name, written).map(([at, one, value]) => (fields: Fields) => {
    fields.splice(at % (fields.length + 1), 0, [one, value]);
  }),
  fc.tuple(fc.nat(), fc.nat()).map(([at, to]) => (fields: Fields) => {
    fields.splice(to % fields.length, 0, ...fields.splice(at % fields.length, 1));
  }),
);
const layout = fc.constantFrom(
  ...[
    ["{\n  ", " : ", ",\n  ", "\n}"],
    ["{", ":", ",", "}"],
    ["{\n  ", " : ", ", ", "\n}"],
    ["{", ":", ", ", "}"],
  ],
);
const edit = fc.option(
  fc.record({
    at: fc.nat(),
    cut: fc.nat({ max: 3 }),
    put: fc.constantFrom("", '"', "\\", ",", "\n", " ", "a"),
  }),
  { freq: 3, nil: undefined },
);

const body = fc.record({ changes: fc.array(change, { maxLength: 2 }), layout, edit }).map((plan) => {
  const fields = usual.map(([one, value]): [string, string] => [one, JSON.stringify(value)]);
  for (const make of plan.changes) make(fields);
  const [open, colon, comma, close] = plan.layout;
  const json = `${open}${fields.map(([one, value]) => `"${one}"${colon}${value}`).join(comma)}${close}`;
  if (plan.edit === undefined) return json;
  const at = plan.edit.at % json.length;
  return json.slice(0, at) + plan.edit.put + json.slice(at + plan.edit.cut);
});

function outcomeOf(json: string) {
  try {
    return { message: parseSnsMessage(json) };
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    return { status: error.status, cause: error.causeCode, refusal: error.message };
  }
}

/** With a space before it, no body looks usual. */
test("a body as SNS writes it is read and refused as any other", () => {
  let accepted = 0;
  const refusals = new Set<string>();
  fc.assert(
    fc.property(body, (json) => {
      const outcome = outcomeOf(json);
      expect(outcome).toStrictEqual(outcomeOf(` ${json}`));
      if (outcome.message) accepted++;
      else refusals.add(outcome.refusal);
    }),
    { numRuns: atLength(5_000, 200_000) },
  );
  expect(accepted).toBeGreaterThan(1_000);
  expect(refusals.size).toBeGreaterThan(15);
});
