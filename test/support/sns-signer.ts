import { createHash, createPrivateKey, randomUUID, sign } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { generate } from "selfsigned";

/*
 * Signs as Amazon SNS does, written from its documentation and apart from the product's own code.
 */

export type Fields = Record<string, unknown>;

export type SnsSigner = {
  certificate: string;
  certificateUrl: string;
  /** `url=path`, for SNS_LOCAL_CERTS. */
  localCertificate: string;
  /** A Notification, signed; `fields` replace or add. */
  notification(message: string, fields?: Fields): Fields;
  /** SubscriptionConfirmation or UnsubscribeConfirmation, signed. */
  confirmation(type: string, fields?: Fields): Fields;
  /** Signs fields as they are. */
  sign(fields: Fields): Fields;
  /** The signature of any text. */
  signText(text: string, digest?: string): string;
};

export const testTopic = "arn:aws:sns:eu-west-1:123456789012:ses-events";

const fieldOrder: Record<string, string[]> = {
  Notification: ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"],
  SubscriptionConfirmation: [
    "Message",
    "MessageId",
    "SubscribeURL",
    "Timestamp",
    "Token",
    "TopicArn",
    "Type",
  ],
  UnsubscribeConfirmation: ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"],
};

export type KeyPair = { private: string; cert: string };

/** A key and its certificate. Making one takes a quarter of a second. */
function keyPair({
  notBefore = "2020-01-01T00:00:00Z",
  notAfter = "2090-01-01T00:00:00Z",
} = {}): Promise<KeyPair> {
  return generate([{ name: "commonName", value: "sns.amazonaws.com" }], {
    keySize: 2048,
    algorithm: "sha256",
    notBeforeDate: new Date(notBefore),
    notAfterDate: new Date(notAfter),
  });
}

let shared: Promise<KeyPair> | undefined;

/** The pair of all that need none of their own. */
export function sharedKeyPair(): Promise<KeyPair> {
  shared ??= keyPair();
  return shared;
}

/** @param directory where the certificate is written. @param validity of a certificate that is made for it. */
export async function snsSigner(
  directory: string,
  { pair: given, ...validity }: { pair?: KeyPair; notBefore?: string; notAfter?: string } = {},
): Promise<SnsSigner> {
  const pair = given ?? (await keyPair(validity));
  const key = createPrivateKey(pair.private);
  const name = createHash("md5").update(pair.cert).digest("hex");
  const certificateUrl = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${name}.pem`;
  const path = join(directory, `${name}.pem`);
  await writeFile(path, pair.cert);

  const signText = (text: string, digest = "RSA-SHA256") =>
    sign(digest, Buffer.from(text), key).toString("base64");

  function signFields(fields: Fields): Fields {
    const order = fieldOrder[String(fields["Type"])] ?? [];
    const text = order
      .filter((field) => field in fields)
      .map((field) => `${field}\n${String(fields[field])}\n`)
      .join("");
    const digest = fields["SignatureVersion"] === "1" ? "RSA-SHA1" : "RSA-SHA256";
    return { ...fields, Signature: signText(text, digest) };
  }

  const common = () => ({
    MessageId: randomUUID(),
    TopicArn: testTopic,
    Timestamp: "2026-11-20T12:00:00.000Z",
    SignatureVersion: "2",
    SigningCertURL: certificateUrl,
  });
  return {
    certificate: pair.cert,
    certificateUrl,
    localCertificate: `${certificateUrl}=${path}`,
    sign: signFields,
    signText,
    notification: (message, fields = {}) =>
      signFields({ Type: "Notification", ...common(), Message: message, ...fields }),
    confirmation: (type, fields = {}) =>
      signFields({
        Type: type,
        ...common(),
        Message: "You have chosen to subscribe to the topic.",
        Token: "2336412f37fb687f5d51e6e2425a8a",
        SubscribeURL: "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription",
        ...fields,
      }),
  };
}
