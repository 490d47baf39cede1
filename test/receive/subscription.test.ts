import { afterEach, beforeEach, expect, test } from "vitest";
import { type AwsStub, awsStub } from "../support/aws-stub.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { testTopic } from "../support/sns-signer.ts";

let database: TestDatabase;
let service: TestService;
let aws: AwsStub;
let awsStatus: number;

beforeEach(async () => {
  awsStatus = 200;
  aws = await awsStub((_url, response) =>
    response.writeHead(awsStatus).end("<Error>Token\n expired</Error>"),
  );
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, context: { awsDispatcher: aws.dispatcher } });
});
afterEach(async () => {
  await service.close();
  await aws.close();
  await database.drop();
});

async function topicState() {
  const [topic] = await database.db.query(
    "select subscription_state, subscription_error from topics where arn = $1",
    [testTopic],
  );
  return topic;
}

test("a verified SubscriptionConfirmation is confirmed at an address rebuilt from signed parts", async () => {
  const message = service.signer.confirmation("SubscriptionConfirmation", {
    SubscribeURL: "https://169.254.169.254/latest/meta-data",
  });

  const answer = await service.ingest(message);

  expect([answer.status, await answer.json()]).toEqual([200, { status: "confirmed" }]);
  const topic = encodeURIComponent(testTopic);
  expect(aws.requested).toEqual([
    `sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=${message["Token"]}`,
  ]);
  expect(await topicState()).toEqual({ subscription_state: "confirmed", subscription_error: null });
});

test("a forged SubscriptionConfirmation makes no request at all", async () => {
  const message = { ...service.signer.confirmation("SubscriptionConfirmation"), Token: "another" };

  expect((await service.ingest(message)).status).toBe(403);

  expect(aws.requested).toEqual([]);
  expect(await topicState()).toEqual({ subscription_state: "unknown", subscription_error: null });
});

test("a confirmation that AWS refuses is answered 503, so that SNS repeats it, and its reason is kept", async () => {
  awsStatus = 400;

  const answer = await service.ingest(service.signer.confirmation("SubscriptionConfirmation"));

  expect(answer.status).toBe(503);
  expect(await topicState()).toEqual({
    subscription_state: "confirmation_failed",
    subscription_error: "SNS answered 400 to ConfirmSubscription: <Error>Token expired</Error>",
  });
});

test("an UnsubscribeConfirmation is recorded and not visited: visiting it would subscribe again", async () => {
  const answer = await service.ingest(service.signer.confirmation("UnsubscribeConfirmation"));

  expect([answer.status, await answer.json()]).toEqual([200, { status: "unsubscribed" }]);
  expect(aws.requested).toEqual([]);
  expect(await topicState()).toEqual({ subscription_state: "unsubscribed", subscription_error: null });
});
