import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sqsClient } from "../../src/aws/clients.ts";
import type { ContextOptions } from "../../src/context.ts";
import { RefusedError } from "../../src/domain/errors.ts";
import { createLogger } from "../../src/logger.ts";
import type { Intake } from "../../src/receive/intake.ts";
import { consumeQueue, type SqsConsumer } from "../../src/receive/sqs-consumer.ts";
import { awsStub } from "../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { type SqsServer, sqsServer } from "../support/sqs-server.ts";
import { until } from "../support/wait.ts";

/*
 * The service with the AWS SDK against an SQS emulator.
 */

let database: TestDatabase;
let sqs: SqsServer;
let queueUrl: string;
const services: TestService[] = [];

beforeEach(async () => {
  database = await testDatabase();
  sqs = await sqsServer();
  queueUrl = await sqs.createQueue("ses-events");
  // The SDK looks for credentials in the environment, as it does in production.
  Object.assign(process.env, sqs.environment);
});
afterEach(async () => {
  for (const service of services.splice(0)) await service.close();
  await sqs?.close();
  await database?.drop();
});

async function start(context: ContextOptions = {}): Promise<TestService> {
  const service = await startTestService({
    databaseUrl: database.url,
    context,
    roles: { receiver: false, workers: true },
    environment: { ...sqs.environment, SQS_QUEUE_URLS: queueUrl },
  });
  services.push(service);
  return service;
}

/** The consumer alone, whose messages come back after a second. */
function consume(intake: Pick<Intake, "accept" | "acceptRaw">): SqsConsumer {
  return consumeQueue({
    client: sqsClient({ region: "us-east-1", endpointUrl: sqs.environment.AWS_ENDPOINT_URL }),
    queueUrl,
    queueArn: "arn:aws:sqs:us-east-1:000000000000:ses-events",
    visibilitySeconds: 1,
    intake,
    log: createLogger("silent"),
  });
}

const send = (messageId: string) => asMessage(sesEvent("Send", { messageId }));

async function messageIds(): Promise<string[]> {
  const rows = await database.db.query<{ message_id: string }>(
    "select message_id from activity order by message_id",
  );
  return rows.map(({ message_id }) => message_id);
}

async function stateOfTopic(): Promise<string | undefined> {
  const [topic] = await database.db.query<{ subscription_state: string }>(
    "select subscription_state from topics where arn = $1",
    [testTopic],
  );
  return topic?.subscription_state;
}

async function emptied(): Promise<void> {
  await until("the queue is empty", async () => {
    const { waiting, inFlight } = await sqs.size(queueUrl);
    return waiting + inFlight === 0;
  });
}

describe("a queue that a topic is subscribed with", () => {
  test("is emptied: what was committed is deleted, and applied once however often it comes", async () => {
    const { signer } = await start();
    const messages = Array.from({ length: 25 }, (_, n) => JSON.stringify(signer.notification(send(`m${n}`))));

    await sqs.send(queueUrl, [...messages, ...messages.slice(0, 5)]);

    await emptied();
    await until("all are applied", async () => (await messageIds()).length === 25);
    expect(await database.db.query("select 1 from notifications")).toHaveLength(25);
  });

  test("keeps what is forged or of a topic that is not allowed, and the rest passes", async () => {
    const { signer } = await start();
    const forged = { ...signer.notification(send("forged")), Message: send("forged differently") };
    const foreign = signer.notification(send("foreign"), {
      TopicArn: "arn:aws:sns:eu-west-1:999999999999:other",
    });

    await sqs.send(
      queueUrl,
      [forged, foreign, signer.notification(send("good"))].map((one) => JSON.stringify(one)),
    );

    await until("the good one is applied", async () => (await messageIds()).length === 1);
    await until("the others are left", async () => (await sqs.size(queueUrl)).inFlight === 2);
    expect(await messageIds()).toEqual(["good"]);
  });

  test("moves what is refused again and again to its dead letters", async () => {
    const dead = await sqs.createQueue("dead");
    queueUrl = await sqs.createQueue("with-dead", {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: "arn:aws:sqs:us-east-1:000000000000:dead",
        maxReceiveCount: "2",
      }),
    });
    const refuse = () => Promise.reject(new RefusedError(403, "signature", "It is forged"));
    const consumer = consume({ accept: refuse, acceptRaw: refuse });

    await sqs.send(queueUrl, ["one", "two"]);

    await until("they are dead letters", async () => (await sqs.size(dead)).waiting === 2);
    await consumer.close();
  });

  test("gives a message to nobody else for as long as it is worked on", async () => {
    let arrivals = 0;
    const consumer = consume({
      accept: () => Promise.resolve("stored"),
      async acceptRaw() {
        arrivals++;
        await sleep(4_000);
        return "stored";
      },
    });

    await sqs.send(queueUrl, ["slow"]);

    await until("it has arrived", () => arrivals === 1);
    await emptied();
    expect(arrivals).toBe(1);
    await consumer.close();
  });

  test("may hold the confirmation of a subscription, as across accounts: it is confirmed", async () => {
    const aws = await awsStub((_url, response) => response.end("<ConfirmSubscriptionResponse/>"));
    const { signer } = await start({ awsDispatcher: aws.dispatcher });

    await sqs.send(queueUrl, [JSON.stringify(signer.confirmation("SubscriptionConfirmation"))]);

    await emptied();
    expect(aws.requested).toEqual([expect.stringContaining("/?Action=ConfirmSubscription&TopicArn=")]);
    expect(await stateOfTopic()).toBe("confirmed");
    await services.splice(0)[0]?.close();
    await aws.close();
  });

  test("may tell of the end of a subscription, which is recorded and does not subscribe again", async () => {
    const { signer } = await start();

    await sqs.send(queueUrl, [JSON.stringify(signer.confirmation("UnsubscribeConfirmation"))]);

    await emptied();
    expect(await stateOfTopic()).toBe("unsubscribed");
  });

  test("holds notifications of a mebibyte, the most that SQS carries", async () => {
    const { signer } = await start();
    const big = sesEvent("Send", {
      messageId: "big",
      mail: { headers: [{ name: "X", value: "x".repeat(900_000) }] },
    });

    await sqs.send(queueUrl, [JSON.stringify(signer.notification(asMessage(big)))]);

    await emptied();
    await until("it is applied", async () => (await messageIds()).length === 1);
  });
});

describe("raw delivery", () => {
  test("is taken as of the queue, once however often a message comes", async () => {
    await start();

    await sqs.send(queueUrl, [
      send("raw-1"),
      send("raw-2"),
      "Successfully validated SNS topic for Amazon SES event publishing.",
    ]);

    await emptied();
    await until("both are applied", async () => (await messageIds()).length === 2);
    expect(
      await database.db.query(
        `select arn, count(*)::integer as count from notifications
         join topics on topics.id = notifications.topic_id group by arn`,
      ),
    ).toEqual([{ arn: "arn:aws:sqs:us-east-1:000000000000:ses-events", count: 3 }]);
  });

  test("what is no SES event is quarantined with the reason, and leaves the queue", async () => {
    await start();

    await sqs.send(queueUrl, ["hello", JSON.stringify({ hello: "world" })]);

    await emptied();
    await until(
      "both are quarantined",
      async () =>
        (await database.db.query("select 1 from notifications where quarantine_reason is not null"))
          .length === 2,
    );
  });
});

describe("while something is away", () => {
  test("the database: messages wait here, each received once, and are applied when it is back", async () => {
    const { signer } = await start();
    await database.block();
    await sqs.send(
      queueUrl,
      Array.from({ length: 12 }, (_, n) => JSON.stringify(signer.notification(send(`m${n}`)))),
    );
    await until("they are received", async () => (await sqs.size(queueUrl)).waiting === 0);

    await database.unblock();

    await emptied();
    await until("all are applied", async () => (await messageIds()).length === 12);
  });

  test("the queue: it is asked again until it is there", async () => {
    queueUrl = queueUrl.replace("ses-events", "made-later");
    const { signer } = await start();
    await sqs.createQueue("made-later");

    await sqs.send(queueUrl, [JSON.stringify(signer.notification(send("late")))]);

    await emptied();
    await until("it is applied", async () => (await messageIds()).length === 1);
  });

  test("stopping gives back at once what is not committed", async () => {
    const service = await start();
    await database.block();
    await sqs.send(queueUrl, [JSON.stringify(service.signer.notification(send(randomUUID())))]);
    await until("it is received", async () => (await sqs.size(queueUrl)).inFlight === 1);

    const closing = services.splice(0)[0]?.close();
    await until("it is given back", async () => (await sqs.size(queueUrl)).waiting === 1, 10);

    await database.unblock();
    await closing?.catch(() => {});
    await start();
    await emptied();
  });
});
