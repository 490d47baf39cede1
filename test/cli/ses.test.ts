import { expect, test } from "vitest";
import { listTopics, setSubscriptionState } from "../../src/storage/topics.ts";
import {
  aws,
  calls,
  database,
  endpoint,
  https,
  outcomes,
  queue,
  ses,
  setUp,
  topicArn,
} from "./ses-command.ts";

setUp();

test("an https endpoint is connected, and Fanmail accepts the topic before it is subscribed", async () => {
  let allowedThen: string[] = [];
  aws.state.onSubscribe = async (subscription) => {
    allowedThen = (await listTopics(database.db)).map(({ arn }) => arn);
    subscription.isConfirmed = true;
  };
  const { code, stdout, stderr } = await ses(https);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Connected: ${topicArn}`);
  expect(allowedThen).toEqual([topicArn]);
  expect(aws.writes()).toEqual([
    "sns:CreateTopic",
    "sns:SetTopicAttributes",
    "ses:CreateConfigurationSetEventDestination",
    "sns:Subscribe",
  ]);
  expect(aws.state.sets.get("my-set")?.get("fanmail")).toEqual({
    Enabled: true,
    MatchingEventTypes: [
      "SEND",
      "REJECT",
      "BOUNCE",
      "COMPLAINT",
      "DELIVERY",
      "OPEN",
      "CLICK",
      "RENDERING_FAILURE",
      "DELIVERY_DELAY",
      "SUBSCRIPTION",
    ],
    SnsDestination: { TopicArn: topicArn },
  });
  expect(aws.state.topics.get(topicArn)?.attributes.get("SignatureVersion")).toBe("2");
  expect(aws.state.subscriptions).toMatchObject([{ topicArn, protocol: "https", endpoint }]);
});

test("the second run only reads, and says that nothing changed", async () => {
  expect((await ses(https)).code).toBe(0);
  aws.received.length = 0;
  const { code, stdout, stderr } = await ses(https);
  expect({ code, stderr, writes: aws.writes() }).toEqual({ code: 0, stderr: "", writes: [] });
  expect(stdout.match(/^\w+(?= {2})/gm)).toEqual(Array(7).fill("unchanged"));
});

test.each([
  ["https", https],
  ["queue", queue],
])("a dry run (%s) shows exactly the calls that the real run makes, and makes none", async (_, args) => {
  const dry = await ses([...args, "--dry-run", "--json", "--account", aws.state.account]);
  expect({ code: dry.code, stderr: dry.stderr, writes: aws.writes() }).toEqual({
    code: 0,
    stderr: "",
    writes: [],
  });
  expect(await listTopics(database.db)).toEqual([]);
  const real = await ses([...args, "--json"]);
  expect(real.code).toBe(0);
  expect(calls(dry.stdout)).toEqual(calls(real.stdout));
  expect(calls(real.stdout).map(({ action }) => action)).toEqual(
    expect.arrayContaining(["fanmail:AllowTopic", ...aws.writes()]),
  );
  expect(outcomes((await ses([...args, "--dry-run", "--json"])).stdout).slice(0, 4)).toEqual(
    Array(4).fill("unchanged"),
  );
});

test("connect waits for a late confirmation", async () => {
  let asked = 0;
  aws.state.onSubscribe = () => {};
  aws.state.onAsked = (subscription) => {
    asked++;
    if (asked === 3) subscription.isConfirmed = true;
  };
  const { code, stderr } = await ses(https);
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: "Waiting for SNS to confirm the subscription: 0 of 60 s\n",
  });
  expect(asked).toBe(3);
});

test("without confirmation connect exits with 1 and says what to check; the next run requests it again", async () => {
  aws.state.onSubscribe = () => {};
  const first = await ses([...https, "--wait", "0"]);
  expect(first.code).toBe(1);
  expect(first.stderr).toContain("The subscription was not confirmed within 0 s.");
  expect(first.stderr).toContain(`Fanmail has not got SNS's message. Check that ${endpoint}`);

  const [topic] = await listTopics(database.db);
  await setSubscriptionState(database.db, topic!, "confirmation_failed", "connect ECONNREFUSED");
  aws.received.length = 0;
  const second = await ses([...https, "--wait", "0"]);
  expect(second.stderr).toContain("could not confirm it: connect ECONNREFUSED");
  expect(aws.writes()).toEqual(["sns:Subscribe"]);
  expect(aws.state.subscriptions).toHaveLength(1);
});

test("a queue is created with its dead-letter queue, subscribed, and named for the receiver; a second run changes nothing", async () => {
  const { code, stdout, stderr } = await ses(queue);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`\nSQS_QUEUE_URLS=${aws.url}/210987654321/ses-events\n`);
  expect(aws.state.queues.get("ses-events-dead")?.attributes["MessageRetentionPeriod"]).toBe("1209600");
  const { RedrivePolicy, ...attributes } = aws.state.queues.get("ses-events")?.attributes ?? {};
  expect(attributes).toMatchObject({ VisibilityTimeout: "60", MessageRetentionPeriod: "1209600" });
  expect(JSON.parse(RedrivePolicy ?? "")).toEqual({
    deadLetterTargetArn: "arn:aws:sqs:eu-west-1:210987654321:ses-events-dead",
    maxReceiveCount: 10,
  });
  expect(aws.state.subscriptions).toMatchObject([
    { protocol: "sqs", endpoint: "arn:aws:sqs:eu-west-1:210987654321:ses-events", isConfirmed: true },
  ]);
  aws.received.length = 0;
  const again = await ses(queue);
  expect({ code: again.code, writes: aws.writes() }).toEqual({ code: 0, writes: [] });
  expect(again.stdout).toContain(`SQS_QUEUE_URLS=${aws.url}/210987654321/ses-events`);
});

test("each of several regions gets its own topic, queue and event destination; one line names all queues", async () => {
  const regions = ["--regions", "eu-west-1,us-east-1"];
  const { code, stdout, stderr } = await ses([...queue, ...regions]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const url = `${aws.url}/210987654321/ses-events`;
  expect(stdout).toContain(`\nSQS_QUEUE_URLS=${url},${url}\n`);
  expect((await listTopics(database.db)).map(({ arn }) => arn).sort()).toEqual([
    topicArn,
    topicArn.replace("eu-west-1", "us-east-1"),
  ]);
  for (const region of ["eu-west-1", "us-east-1"])
    expect([...(aws.stateIn(region).sets.get("my-set")?.keys() ?? [])]).toEqual(["fanmail"]);
  aws.received.length = 0;
  const again = await ses([...queue, ...regions, "--json"]);
  expect({ code: again.code, writes: aws.writes() }).toEqual({ code: 0, writes: [] });
  expect(JSON.parse(again.stdout)).toMatchObject({
    regions: [{ topic_arn: topicArn }, { topic_arn: topicArn.replace("eu-west-1", "us-east-1") }],
  });
});

test("in the European Sovereign Cloud every ARN and the caller's policy are of its partition", async () => {
  const region = "eusc-de-east-1";
  const { code, stderr } = await ses([...queue, "--region", region]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const { topics, queues, subscriptions } = aws.stateIn(region);
  const arns = JSON.stringify([...topics].map(([arn, { attributes }]) => [arn, [...attributes]]));
  expect(arns).toContain(`arn:aws-eusc:ses:${region}:210987654321:configuration-set/my-set`);
  const all = [arns, JSON.stringify([...queues]), JSON.stringify(subscriptions)].join();
  expect(all.match(/arn:aws[a-z-]*:/g)).toEqual(expect.arrayContaining(["arn:aws-eusc:"]));
  expect(all).not.toContain("arn:aws:");
  const dry = await ses([...queue, "--region", region, "--dry-run"]);
  expect(dry.stdout).toContain(`"arn:aws-eusc:sqs:${region}:210987654321:ses-events-dead"`);
  expect(dry.stdout).not.toContain("arn:aws:");
});

test("disconnecting removes the event destination and the subscription, and keeps topic and queue", async () => {
  await ses(queue);
  aws.received.length = 0;
  const args = ["disconnect", "--configuration-set", "my-set", "--queue", "ses-events"];
  const dry = await ses([...args, "--dry-run", "--json"]);
  expect({ code: dry.code, writes: aws.writes() }).toEqual({ code: 0, writes: [] });
  const { code, stdout, stderr } = await ses(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(calls(dry.stdout).map(({ action }) => action)).toEqual(aws.writes());
  expect(aws.writes()).toEqual(["ses:DeleteConfigurationSetEventDestination", "sns:Unsubscribe"]);
  expect(stdout).toContain(`fanmail topics remove ${topicArn}`);
  expect(aws.state.sets.get("my-set")?.size).toBe(0);
  expect([...aws.state.queues.keys()]).toEqual(["ses-events-dead", "ses-events"]);
  expect(await listTopics(database.db)).toHaveLength(1);
  aws.received.length = 0;
  expect((await ses(args)).code).toBe(0);
  expect(aws.writes()).toEqual([]);

  expect((await ses([...args, "--delete-topic"])).code).toBe(0);
  expect(aws.state.topics.size).toBe(0);
});
