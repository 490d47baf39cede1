import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import https from "node:https";
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { Queue } from "bullmq";
import express, { type Request } from "express";
import { Redis } from "ioredis";
import { endWithBenchmark } from "../lifetime.ts";
import { type EventJob, jobOptions, queueName } from "./job.ts";

/*
 * The usual receiver: express, the validator that AWS publishes, and a BullMQ job for each message. It answers once Redis
 * has the job.
 * Arguments: URL of Redis, ARN of the topic, file with the certificate.
 */

const [redisUrl = "", topicArn = "", certificatePath = ""] = process.argv.slice(2);
trustLocally(readFileSync(certificatePath, "utf8"));

type Message = Record<string, string>;
type Validator = { validate(message: Message, done: (error: Error | null, message?: Message) => void): void };
/** It has no types. */
const MessageValidator: new () => Validator = createRequire(import.meta.url)("sns-validator");

const validator = new MessageValidator();
const connection = new Redis(redisUrl, { maxRetriesPerRequest: null });
const queue = new Queue<EventJob>(queueName, { connection });

const app = express();
app.disable("x-powered-by").disable("etag");
app.post("/sns", express.text({ type: () => true, limit: "300kb" }), async (request, response) => {
  const message = await verified(request).catch(() => null);
  if (message === null || message["TopicArn"] !== topicArn) {
    response.status(403).end();
    return;
  }
  const { MessageId: snsMessageId = "", Message: text = "", Type: type } = message;
  if (type === "Notification")
    await queue.add("event", { snsMessageId, message: text }, jobOptions(snsMessageId));
  response.status(200).end();
});

const server = app.listen(0, "127.0.0.1", () => {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("unreachable: it listens on TCP");
  process.stdout.write(`listens on http://127.0.0.1:${address.port}\n`);
});
server.keepAliveTimeout = 120_000;
endWithBenchmark();

function verified(request: Request): Promise<Message> {
  return new Promise((resolve, reject) => {
    validator.validate(JSON.parse(request.body), (error, message) => {
      if (message === undefined) reject(error);
      else resolve(message);
    });
  });
}

/** The validator fetches a certificate once, and keeps it. Nothing else here uses `https`. */
function trustLocally(certificate: string): void {
  const get = (_url: string, onResponse: (response: object) => void) => {
    onResponse(Object.assign(Readable.from([certificate]), { statusCode: 200 }));
    return new EventEmitter();
  };
  Object.assign(https, { get });
}
