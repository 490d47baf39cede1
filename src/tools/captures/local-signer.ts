import { createHash, createPrivateKey, sign } from "node:crypto";
import { join } from "node:path";
import { readOrMake } from "../../data-dir.ts";
import { type SnsMessage, signatureDigest, snsHost, stringToSign } from "../../domain/mail/sns-message.ts";

/** Signs as SNS does, with a local key, for receivers that are configured to trust its certificate. */
export type LocalSigner = {
  /** The URL that represents the certificate in a topic's messages; nothing is fetched from it. */
  certificateUrl(topicArn: string): string;
  /** The file that SNS_LOCAL_CERTS must name for this URL. */
  certificatePath: string;
  /** @returns the SNS message as JSON. */
  sign(message: ToSign): string;
};

/** `message` is the exact text of the field `Message`. */
type ToSign = { topicArn: string; messageId: string; publishedAt: Date; message: string; subject?: string };

const usualSubject = "Amazon SES Email Event Notification";

const pairFile = "sns-signing.pem";
const certificateFile = "sns-signing-certificate.pem";

/** Reads the key and certificate from a data directory; the first call makes them. */
export async function localSigner(dataDir: string): Promise<LocalSigner> {
  const pair = await readOrMake(dataDir, pairFile, makePair);
  const key = createPrivateKey(pair);
  const certificate = pair.slice(pair.indexOf("-----BEGIN CERTIFICATE-----"));
  await readOrMake(dataDir, certificateFile, () => certificate);
  const name = createHash("sha256").update(certificate).digest("hex").slice(0, 32);
  const certificateUrl = (topicArn: string) =>
    `https://${snsHost(topicArn)}/SimpleNotificationService-${name}.pem`;
  const signed = ({ topicArn, messageId, publishedAt, message, subject = usualSubject }: ToSign) => {
    const unsigned: SnsMessage = {
      Type: "Notification",
      MessageId: messageId,
      TopicArn: topicArn,
      Subject: withoutControls(subject),
      Message: message,
      Timestamp: publishedAt.toISOString(),
      SignatureVersion: "2",
      Signature: "",
      SigningCertURL: certificateUrl(topicArn),
    };
    const signature = sign(signatureDigest(unsigned), Buffer.from(stringToSign(unsigned)), key);
    return JSON.stringify({ ...unsigned, Signature: signature.toString("base64") });
  };
  return {
    certificateUrl,
    certificatePath: join(dataDir, certificateFile),
    sign: signed,
  };
}

/** Receivers refuse control characters and lone surrogates in every field except the message. */
function withoutControls(text: string): string {
  return text.toWellFormed().replaceAll(/\p{Cc}/gu, " ");
}

/** The private key and the self-signed certificate in one file, so that they always match. */
async function makePair(): Promise<string> {
  // Needed once in the life of a data directory, and slow to load.
  const { generate } = await import("selfsigned");
  const { private: key, cert } = await generate([{ name: "commonName", value: "fanmail local replay" }], {
    keySize: 2048,
    algorithm: "sha256",
    // Captures are replayed with the times at which they were published.
    notBeforeDate: new Date("2000-01-01T00:00:00Z"),
    notAfterDate: new Date("2100-01-01T00:00:00Z"),
  });
  return `${key.trim()}\n${cert.trim()}\n`;
}
