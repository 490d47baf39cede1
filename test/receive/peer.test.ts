import { sign } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import https from "node:https";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { generate } from "selfsigned";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RefusedError } from "../../src/domain/errors.ts";
import { parseSnsMessage } from "../../src/domain/mail/sns-message.ts";
import { type Certificates, createCertificates, verifySnsMessage } from "../../src/receive/signature.ts";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type Fields, type SnsSigner, snsSigner, testTopic } from "../support/sns-signer.ts";

/*
 * The npm package sns-validator as the peer: what it rightly accepts ours accepts, and what it accepts by
 * mistake ours refuses. It fetches certificates through node:https, whose agent takes every host to a stub.
 */

type Validator = { validate(fields: Fields, callback: (error: Error | null) => void): void };
const SnsValidator: new () => Validator = createRequire(import.meta.url)("sns-validator");

let directory: string;
let signer: SnsSigner;
let aws: AwsStub;
let certificates: Certificates;
let certificateOfFoo = "";
const fooUrl = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-f00.pem";
const realAgent = https.globalAgent;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-peer-"));
  signer = await snsSigner(directory);
  aws = await awsStub((url, response) =>
    response.end(url.endsWith("-f00.pem") ? certificateOfFoo : signer.certificate),
  );
  const agent = new https.Agent();
  agent.createConnection = () => connect({ host: "127.0.0.1", port: aws.port, rejectUnauthorized: false });
  https.globalAgent = agent;
  certificates = createCertificates({
    localCertificates: new Map(),
    dispatcher: async () => aws.dispatcher,
    now: () => new Date(),
  });
});
afterAll(async () => {
  https.globalAgent = realAgent;
  await aws?.close();
  await rm(directory, { recursive: true, force: true });
});

const peerAccepts = (fields: Fields) =>
  new Promise<boolean>((resolve) =>
    new SnsValidator().validate({ ...fields }, (error) => resolve(error === null)),
  );

/** "accepted", or the cause of the refusal. */
async function ours(fields: Fields): Promise<string> {
  try {
    await verifySnsMessage(parseSnsMessage(JSON.stringify(fields)), certificates);
    return "accepted";
  } catch (error) {
    if (error instanceof RefusedError) return error.causeCode;
    throw error;
  }
}

describe("beside sns-validator", () => {
  test("every genuine message that it accepts ours accepts", async () => {
    const genuine = ["1", "2"].flatMap((SignatureVersion) => [
      signer.notification('{"eventType":"Send"}\n', { SignatureVersion }),
      signer.notification("é 😀\r\n", { SignatureVersion, Subject: "Ünï" }),
      signer.notification("", { SignatureVersion, Subject: "" }),
      { ...signer.notification("text", { SignatureVersion }), Subject: null },
      signer.confirmation("SubscriptionConfirmation", { SignatureVersion }),
    ]);

    expect(await Promise.all(genuine.map(peerAccepts))).toEqual(genuine.map(() => true));
    expect(await Promise.all(genuine.map(ours))).toEqual(genuine.map(() => "accepted"));
  });

  test("a genuine UnsubscribeConfirmation, which it refuses, ours accepts", async () => {
    const genuine = signer.confirmation("UnsubscribeConfirmation");

    expect([await peerAccepts(genuine), await ours(genuine)]).toEqual([false, "accepted"]);
  });

  test("what it refuses for its signature ours refuses", async () => {
    const signed = signer.notification("text\n", { Subject: "Hello" });
    const changed = [
      { ...signed, Message: "text" },
      { ...signed, Subject: "other" },
      { ...signed, Timestamp: "2026-11-20T12:00:00.001Z" },
      { ...signed, TopicArn: `${testTopic}-other` },
      { ...signed, SignatureVersion: "1" },
    ];

    expect(await Promise.all(changed.map(peerAccepts))).toEqual(changed.map(() => false));
    expect(await Promise.all(changed.map(ours))).toEqual(changed.map(() => "signature"));
  });
});

/** Signed as a notification of the attacker's topic: the tail of the text, moved to where the peer looks last. */
function reSplit(): Fields {
  const attackersTopic = "arn:aws:sns:eu-west-1:666666666666:evil";
  const forged = {
    Message: '{"eventType":"Complaint"}',
    MessageId: "22222222-2222-4222-8222-222222222222",
    Timestamp: "2026-11-20T12:00:00.000Z",
    TopicArn: testTopic,
  };
  const { Message, MessageId, Timestamp, TopicArn } = forged;
  const tail = `MessageId\n${MessageId}\nTimestamp\n${Timestamp}\nTopicArn\n${TopicArn}\nType\nNotification`;
  const { Message: _, ...published } = signer.notification(`${Message}\n${tail}`, {
    TopicArn: attackersTopic,
  });
  const rest = ["MessageId", "Timestamp", "TopicArn", "Type"].map((name) => `${name}\n${published[name]}`);
  return { ...published, ...forged, Type: `Notification\n${rest.join("\n")}` };
}

/** Signs a message as the notification that the peer takes it for, and gives it another form. */
function signedAs(form: Fields, signed: Fields): Fields {
  const { Signature } = signer.notification(String(signed["Message"] ?? "text"), signed);
  return { ...signer.notification("text"), ...signed, ...form, Signature };
}

describe("what sns-validator accepts by mistake", () => {
  const MessageId = "22222222-2222-4222-8222-222222222222";
  const holes: [what: string, () => Fields, cause: string][] = [
    ["the re-split of a notification of another topic", reSplit, "not_sns"],
    ["a Message in an array", () => signedAs({ Message: ["text"] }, { MessageId }), "not_sns"],
    ["a TopicArn in an array", () => signedAs({ TopicArn: [testTopic] }, { MessageId }), "not_sns"],
    ["a Subject with line breaks", () => signer.notification("text", { Subject: "a\nb" }), "not_sns"],
    ["a Timestamp that is no time", () => signer.notification("text", { Timestamp: "now" }), "not_sns"],
    ["a MessageId that is no UUID", () => signer.notification("text", { MessageId: "1" }), "not_sns"],
    [
      "a certificate from an S3 bucket",
      () => signer.notification("text", { SigningCertURL: `https://sns.s3-us-west-2.amazonaws.com/a.pem` }),
      "certificate_url",
    ],
    [
      "a certificate of another region",
      () =>
        signer.notification("text", {
          SigningCertURL: signer.certificateUrl.replace("eu-west-1", "us-east-1"),
        }),
      "certificate_url",
    ],
    [
      "any .pem of the host",
      () => signer.notification("text", { SigningCertURL: "https://sns.eu-west-1.amazonaws.com/evil.pem" }),
      "certificate_url",
    ],
    [
      "a certificate that was not yet valid",
      () => signer.notification("text", { Timestamp: "2019-01-01T00:00:00.000Z" }),
      "certificate_expired",
    ],
  ];

  test.each(holes)("ours refuses: %s", async (_what, forge, cause) => {
    const forged = forge();

    expect([await peerAccepts(forged), await ours(forged)]).toEqual([true, cause]);
  });

  test("ours refuses: an unknown Type", async () => {
    const pair = await generate([{ name: "commonName", value: "sns" }], {
      keySize: 2048,
      algorithm: "sha256",
    });
    certificateOfFoo = pair.cert;
    const fields = { ...signer.notification("text"), SigningCertURL: fooUrl, Type: "Foo" } as Fields;
    const text = ["Message", "MessageId", "Timestamp", "TopicArn", "Type"]
      .map((name) => `${name}\n${fields[name]}\n`)
      .join("");
    const forged = {
      ...fields,
      Signature: sign("RSA-SHA256", Buffer.from(text), pair.private).toString("base64"),
    };

    expect([await peerAccepts(forged), await ours(forged)]).toEqual([true, "not_sns"]);
  });
});
