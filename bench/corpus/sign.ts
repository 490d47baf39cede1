import { createHash, createPrivateKey, sign } from "node:crypto";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker as Thread, workerData } from "node:worker_threads";
import { z } from "zod";

/** What SNS signs. @property version 1 is the default of a topic. */
export type Envelope = { snsMessageId: string; publishedAtMs: number; message: string; version: "1" | "2" };

/** Signs as SNS does, with an RSA key of 2048 bits. */
export type Signer = {
  key: string;
  certificateUrl: string;
  /** The file with the certificate, for `SNS_LOCAL_CERTS`. */
  certificatePath: string;
};

export const topicArn = "arn:aws:sns:eu-west-1:123456789012:ses-events";
const subject = "Amazon SES Email Event Notification";
/** Two processors are what the benchmark is for. */
const threads = 2;

/** Makes a key and a certificate. @param directory where the certificate is written. */
export async function makeSigner(directory: string): Promise<Signer> {
  const { generate } = await import("selfsigned");
  const { private: key, cert } = await generate([{ name: "commonName", value: "fanmail benchmark" }], {
    keySize: 2048,
    algorithm: "sha256",
    notBeforeDate: new Date("2000-01-01T00:00:00Z"),
    notAfterDate: new Date("2100-01-01T00:00:00Z"),
  });
  const certificatePath = join(directory, "sns-certificate.pem");
  await writeFile(certificatePath, cert, { mode: 0o644 });
  const name = createHash("sha256").update(cert).digest("hex").slice(0, 32);
  const certificateUrl = `https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-${name}.pem`;
  return { key, certificateUrl, certificatePath };
}

const Signed = z.array(z.string());

/** @returns the bodies of the requests, in the same order. @param signer null: signatures are invented. */
export async function signAll(signer: Signer | null, envelopes: readonly Envelope[]): Promise<string[]> {
  if (signer === null) return envelopes.map((envelope) => bodyOf(envelope, invented, inventedUrl));
  const share = Math.ceil(envelopes.length / threads);
  const shares = Array.from({ length: threads }, (_, n) => envelopes.slice(n * share, (n + 1) * share));
  const signed = await Promise.all(
    shares.map(async (part) => {
      const thread = new Thread(fileURLToPath(import.meta.url), { workerData: { signer, part } });
      const [bodies] = await once(thread, "message");
      return Signed.parse(bodies);
    }),
  );
  return signed.flat();
}

/** Makes the body of a request from an envelope. */
export function signing({ key, certificateUrl }: Signer): (envelope: Envelope) => string {
  const privateKey = createPrivateKey(key);
  const signed = (text: string, version: Envelope["version"]) =>
    sign(version === "1" ? "RSA-SHA1" : "RSA-SHA256", Buffer.from(text), privateKey);
  return (envelope) => bodyOf(envelope, signed, certificateUrl);
}

if (!isMainThread) {
  const { signer, part }: { signer: Signer; part: Envelope[] } = workerData;
  parentPort?.postMessage(part.map(signing(signer)));
}

type Sign = (text: string, version: Envelope["version"]) => Buffer;

/** As long as a signature, and no more compressible. */
function invented(text: string): Buffer {
  const parts = [0, 1, 2, 3].map((part) => createHash("sha512").update(`${part}${text}`).digest());
  return Buffer.concat(parts);
}
const inventedUrl =
  "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00000000000000000000000000000000.pem";

function bodyOf(
  { snsMessageId, publishedAtMs, message, version }: Envelope,
  signed: Sign,
  certificateUrl: string,
): string {
  const timestamp = new Date(publishedAtMs).toISOString();
  const text =
    `Message\n${message}\nMessageId\n${snsMessageId}\nSubject\n${subject}\n` +
    `Timestamp\n${timestamp}\nTopicArn\n${topicArn}\nType\nNotification\n`;
  const unsubscribe = `https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=${topicArn}:8f1c2a6e-0f6b-4c1e-9a53-2f7d9b0d6c41`;
  const fields = {
    Type: "Notification",
    MessageId: snsMessageId,
    TopicArn: topicArn,
    Subject: subject,
    Message: message,
    Timestamp: timestamp,
    SignatureVersion: version,
    Signature: signed(text, version).toString("base64"),
    SigningCertURL: certificateUrl,
    UnsubscribeURL: unsubscribe,
  };
  // SNS puts a space on both sides of the colon.
  const lines = Object.entries(fields).map(([name, value]) => `  "${name}" : ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}`;
}
