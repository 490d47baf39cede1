import { verify, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { endWithBenchmark } from "./lifetime.ts";

/*
 * The bound of a receiver: reads a message, checks its signature with a key that is parsed once, answers, and stores
 * nothing. No receiver that verifies can be faster.
 * Argument: file with the certificate.
 */

const [certificatePath = ""] = process.argv.slice(2);
const key = new X509Certificate(readFileSync(certificatePath)).publicKey;

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const isGenuine = isSigned(JSON.parse(Buffer.concat(pieces).toString()));
    response.writeHead(isGenuine ? 200 : 403, { "content-length": 0 }).end();
  });
});
server.keepAliveTimeout = 120_000;
server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("unreachable: it listens on TCP");
  process.stdout.write(`listens on http://127.0.0.1:${address.port}\n`);
});
endWithBenchmark();

function isSigned(message: Record<string, string>): boolean {
  const text =
    `Message\n${message["Message"]}\nMessageId\n${message["MessageId"]}\nSubject\n${message["Subject"]}\n` +
    `Timestamp\n${message["Timestamp"]}\nTopicArn\n${message["TopicArn"]}\nType\n${message["Type"]}\n`;
  const digest = message["SignatureVersion"] === "1" ? "RSA-SHA1" : "RSA-SHA256";
  return verify(digest, Buffer.from(text), key, Buffer.from(message["Signature"] ?? "", "base64"));
}
