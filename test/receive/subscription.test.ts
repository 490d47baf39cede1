import { expect } from "vitest";
import { awsStub } from "../support/aws-stub.ts";
import { projectTest } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { testTopic } from "../support/sns-signer.ts";

let awsStatus: number;
const aws = await awsStub((_url, response) =>
  response.writeHead(awsStatus).end("<Error>Token\n expired</Error>"),
);
const test = projectTest({ context: { awsDispatcher: aws.dispatcher } });

test.beforeEach(async ({ database }) => {
  awsStatus = 200;
  aws.requested.length = 0;
  await database.db.query("update topics set subscription_state = 'unknown', subscription_error = null");
});
test.afterAll(() => aws.close());

async function topicState({ context }: TestService) {
  const [topic] = await context.db.query(
    "select subscription_state, subscription_error from topics where arn = $1",
    [testTopic],
  );
  return topic;
}

test("a verified SubscriptionConfirmation is confirmed at an address rebuilt from signed parts", async ({
  service,
}) => {
  const message = service.signer.confirmation("SubscriptionConfirmation", {
    SubscribeURL: "https://169.254.169.254/latest/meta-data",
  });

  const answer = await service.ingest(message);

  expect([answer.status, await answer.json()]).toEqual([200, { status: "confirmed" }]);
  const topic = encodeURIComponent(testTopic);
  expect(aws.requested).toEqual([
    `sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${topic}&Token=${message["Token"]}`,
  ]);
  expect(await topicState(service)).toEqual({ subscription_state: "confirmed", subscription_error: null });
});

test("a forged SubscriptionConfirmation makes no request at all", async ({ service }) => {
  const message = { ...service.signer.confirmation("SubscriptionConfirmation"), Token: "another" };

  expect((await service.ingest(message)).status).toBe(403);

  expect(aws.requested).toEqual([]);
  expect(await topicState(service)).toEqual({ subscription_state: "unknown", subscription_error: null });
});

test("a confirmation that AWS refuses is answered 503, so that SNS repeats it, and its reason is kept", async ({
  service,
}) => {
  awsStatus = 400;

  const answer = await service.ingest(service.signer.confirmation("SubscriptionConfirmation"));

  expect(answer.status).toBe(503);
  expect(await topicState(service)).toEqual({
    subscription_state: "confirmation_failed",
    subscription_error: "SNS answered 400 to ConfirmSubscription: <Error>Token expired</Error>",
  });
});

test("an UnsubscribeConfirmation is recorded and not visited: visiting it would subscribe again", async ({
  service,
}) => {
  const answer = await service.ingest(service.signer.confirmation("UnsubscribeConfirmation"));

  expect([answer.status, await answer.json()]).toEqual([200, { status: "unsubscribed" }]);
  expect(aws.requested).toEqual([]);
  expect(await topicState(service)).toEqual({ subscription_state: "unsubscribed", subscription_error: null });
});
