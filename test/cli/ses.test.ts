import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { insertTopic, listTopics, setSubscriptionState } from "../../src/storage/topics.ts";
import { type AwsApiStub, awsApiStub } from "../support/aws-api-stub.ts";
import { ApiError } from "../support/aws-state.ts";
import { run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory } from "../support/fanmail-process.ts";

/*
 * The built program against stubs of three AWS APIs, which check the signature of each request.
 */

const topicArn = "arn:aws:sns:eu-west-1:210987654321:ses-events";
const endpoint = "https://fanmail.example.com/ingest/sns";
const https = ["connect", "--configuration-set", "my-set", "--https", endpoint];
const queue = ["connect", "--configuration-set", "my-set", "--queue", "ses-events"];

let aws: AwsApiStub;
let database: TestDatabase;
let directory: { path: string; remove(): Promise<void> };
let environment: Record<string, string>;

beforeAll(async () => {
  database = await testDatabase();
  directory = await dataDirectory();
  aws = await awsApiStub();
  environment = {
    ...aws.environment,
    DATA_DIR: directory.path,
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
  };
});
afterAll(async () => {
  await aws?.close();
  await directory?.remove();
  await database?.drop();
});
beforeEach(async () => {
  aws.reset();
  await database.db.query("delete from topics");
});

const ses = (args: string[], more: Record<string, string> = {}) =>
  run(["ses", ...args], { ...environment, ...more });

/** What `--json` prints. */
const Answer = z.looseObject({
  steps: z.array(
    z.object({
      subject: z.string(),
      outcome: z.string(),
      calls: z.array(z.object({ action: z.string(), input: z.unknown() })),
      notes: z.array(z.string()),
    }),
  ),
});
const calls = (stdout: string) => Answer.parse(JSON.parse(stdout)).steps.flatMap((step) => step.calls);
const outcomes = (stdout: string) => Answer.parse(JSON.parse(stdout)).steps.map((step) => step.outcome);

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

test("a missing configuration set is reported with the existing ones, before anything is created", async () => {
  for (const name of ["b-set", "c-set"]) aws.state.sets.set(name, new Map());
  const args = ["connect", "--configuration-set", "other", "--https", endpoint];
  const { code, stderr } = await ses(args);
  expect(code).toBe(1);
  expect(stderr).toContain(
    'There is no configuration set "other" in this region. There are: my-set, b-set, c-set. Name one of them, or another region than eu-west-1',
  );
  expect(aws.writes()).toEqual([]);
  expect((await ses([...args, "--create-configuration-set"])).code).toBe(0);
  expect([...(aws.state.sets.get("other")?.keys() ?? [])]).toEqual(["fanmail"]);
});

test("a topic that belongs to another project is not subscribed", async () => {
  const other = "00000000-0000-8000-8000-000000000002";
  await database.db.query("insert into projects (id, name) values ($1, 'other')", [other]);
  await insertTopic(database.db, { project_id: other, id: other, arn: topicArn });
  const { code, stderr } = await ses(https);
  expect(code).toBe(1);
  expect(stderr).toContain(`${topicArn} belongs to another project`);
  expect(aws.state.subscriptions).toEqual([]);
  expect((await ses([...https, "--project", "other"])).code).toBe(0);
});

test.each([
  [{ AWS_SECRET_ACCESS_KEY: "wrong" }, "AWS refuses the credentials (SignatureDoesNotMatch"],
  [{ AWS_ACCESS_KEY_ID: "AKIAOTHER" }, "AWS refuses the credentials (InvalidClientTokenId"],
  [{ AWS_ENDPOINT_URL: "http://127.0.0.1:1" }, "AWS cannot be reached (connect ECONNREFUSED"],
  [
    { AWS_ACCESS_KEY_ID: "", AWS_SECRET_ACCESS_KEY: "", AWS_CONFIG_FILE: "/never", HOME: "/never" },
    "there are no AWS credentials",
  ],
])("with %o the call, the reason and the remedy are reported", async (more, text) => {
  const { code, stderr } = await ses(https, more);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^fanmail ses: ses:GetConfigurationSetEventDestinations, for the configuration set my-set: /,
  );
  expect(stderr).toContain(text);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(aws.received).toEqual([]);
});

test("when AWS refuses a call it is named; what was done stays done, and the next run continues", async () => {
  aws.fail("sns:Subscribe", new ApiError(403, "AuthorizationError", "You may not."));
  const { code, stdout, stderr } = await ses(https);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `fanmail ses: sns:Subscribe, for the topic ${topicArn}: AWS does not allow it (You may not.). The caller needs sns:Subscribe; --dry-run prints the whole policy that it needs.\n`,
  );
  expect(stdout).toContain("done       event destination fanmail of my-set");
  aws.fail("sns:Subscribe", new ApiError(400, "Throttling", "Rate exceeded"));
  expect((await ses(https)).stderr).toContain("Run it again in a minute");
});
