import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { awsClients } from "../../../src/aws/clients.ts";
import { connectingPolicy, disconnectingPolicy, type Policy } from "../../../src/aws/policies.ts";
import { awsReader } from "../../../src/aws/reader.ts";
import type { SesConnection } from "../../../src/aws/ses-connection.ts";
import { performer } from "../../../src/tools/connect/calls.ts";
import { connectSteps, MissingConfigurationSetError } from "../../../src/tools/connect/connect-steps.ts";
import { disconnectSteps } from "../../../src/tools/connect/disconnect-steps.ts";
import { carryOut, nothingKnown, type Outcome, type Step } from "../../../src/tools/connect/steps.ts";
import { type AwsApiStub, awsApiStub } from "../../support/aws-api-stub.ts";
import { defaultPolicy } from "../../support/aws-sns-operations.ts";
import { ApiError } from "../../support/aws-state.ts";

const account = "210987654321";
const place = { partition: "aws", region: "eu-west-1", account };
const topicArn = `arn:aws:sns:eu-west-1:${account}:ses-events`;
const endpoint = "https://fanmail.example.com/ingest/sns";
const base = { configurationSet: "my-set", createsConfigurationSet: false, topic: "ses-events" };
const https: SesConnection = { ...base, target: { kind: "https", url: endpoint } };
const queue: SesConnection = { ...base, target: { kind: "queue", name: "ses-events" } };

let aws: AwsApiStub;

beforeAll(async () => {
  aws = await awsApiStub();
  // The SDK takes credentials from the environment, as it does for a user.
  Object.assign(process.env, aws.environment);
});
afterAll(() => aws?.close());
beforeEach(() => aws.reset());

async function take(steps: Step[]): Promise<Outcome[]> {
  const clients = awsClients({ region: place.region, endpointUrl: aws.url });
  const outcomes: Outcome[] = [];
  const perform = performer(clients, async () => {});
  // Another account than the caller's: the steps must find the right one.
  const start = nothingKnown({ ...place, account: "123456789012" }, "ses-events");
  await carryOut(steps, start, awsReader(clients), perform, (outcome) => outcomes.push(outcome));
  return outcomes;
}
const connect = (connection: SesConnection) => take(connectSteps(connection, "default", async () => true));
const disconnect = (connection: SesConnection, deletesTopic = false) =>
  take(disconnectSteps(connection, deletesTopic));

function addTopic(policy: object = defaultPolicy(topicArn, account)): void {
  aws.state.topics.set(topicArn, { attributes: new Map([["Policy", JSON.stringify(policy)]]), tags: {} });
}
const topicPolicy = () => JSON.parse(aws.state.topics.get(topicArn)?.attributes.get("Policy") ?? "{}");
const sids = (policy: { Statement: { Sid: string }[] }) => policy.Statement.map(({ Sid }) => Sid);

describe("what exists already", () => {
  test("a topic on a later page is found, and its other statements and the policy's own fields stay", async () => {
    for (const name of ["a", "b", "c"])
      aws.state.topics.set(`arn:aws:sns:eu-west-1:${account}:${name}`, { attributes: new Map(), tags: {} });
    addTopic();
    await connect(https);
    expect(aws.writes()).not.toContain("sns:CreateTopic");
    expect(topicPolicy()).toMatchObject({ Version: "2008-10-17", Id: "__default_policy_ID" });
    expect(sids(topicPolicy())).toEqual(["__default_statement_ID", "fanmail-ses-my-set"]);
    expect(topicPolicy().Statement[0]).toEqual(
      (defaultPolicy(topicArn, account) as { Statement: object[] }).Statement[0],
    );
    expect(aws.state.topics.get(topicArn)?.attributes.get("SignatureVersion")).toBe("2");
  });

  test("a second configuration set joins the topic beside the first", async () => {
    aws.state.sets.set("other", new Map());
    await connect(https);
    await connect({ ...https, configurationSet: "other" });
    expect(sids(topicPolicy())).toEqual(["fanmail-ses-my-set", "fanmail-ses-other"]);
    aws.received.length = 0;
    await connect(https);
    expect(aws.writes()).toEqual([]);
  });

  test("Fanmail's statement as AWS rewrites it is kept; with another account in it, it is corrected", async () => {
    await connect(https);
    const [statement] = topicPolicy().Statement;
    const reworded = {
      ...statement,
      Action: ["SNS:Publish"],
      Condition: {
        StringEquals: Object.fromEntries(
          Object.entries(statement.Condition.StringEquals).map(([name, value]) => [
            name.replace("AWS", "aws"),
            value,
          ]),
        ),
      },
    };
    addTopic({ Version: "2012-10-17", Statement: reworded });
    aws.state.topics.get(topicArn)?.attributes.set("SignatureVersion", "2");
    aws.received.length = 0;
    await connect(https);
    expect(aws.writes()).toEqual([]);
    reworded.Condition.StringEquals["aws:SourceAccount"] = "111111111111";
    addTopic({ Version: "2012-10-17", Statement: [reworded] });
    await connect(https);
    expect(topicPolicy().Statement).toEqual([statement]);
  });

  test.each([
    ["is disabled", { Enabled: false }],
    ["lacks an event type", { MatchingEventTypes: ["SEND"] }],
    ["publishes elsewhere", { SnsDestination: { TopicArn: `${topicArn}-old` } }],
  ])("an event destination that %s is updated", async (_, difference) => {
    await connect(https);
    const set = aws.state.sets.get("my-set")!;
    const wanted = set.get("fanmail")!;
    set.set("fanmail", { ...wanted, ...difference });
    aws.received.length = 0;
    await connect(https);
    expect(aws.writes()).toEqual(["ses:UpdateConfigurationSetEventDestination"]);
    expect(set.get("fanmail")).toEqual(wanted);
  });

  test("an event destination with types in another order is kept; a second one to the topic is reported", async () => {
    await connect(https);
    const set = aws.state.sets.get("my-set")!;
    const wanted = set.get("fanmail") as { MatchingEventTypes: string[] };
    set.set("fanmail", { ...wanted, MatchingEventTypes: wanted.MatchingEventTypes.toReversed() });
    set.set("by-hand", wanted);
    aws.received.length = 0;
    const outcomes = await connect(https);
    expect(aws.writes()).toEqual([]);
    expect(outcomes.flatMap(({ notes }) => notes)).toEqual([
      "by-hand publishes to this topic too: events come twice, and count once.",
    ]);
  });

  test("raw message delivery is switched off, and a filter policy is reported", async () => {
    await connect(https);
    const subscription = aws.state.subscriptions[0]!;
    Object.assign(subscription.attributes, { RawMessageDelivery: "true", FilterPolicy: '{"a":["b"]}' });
    aws.received.length = 0;
    const outcomes = await connect(https);
    expect(aws.writes()).toEqual(["sns:SetSubscriptionAttributes"]);
    expect(subscription.attributes["RawMessageDelivery"]).toBe("false");
    expect(outcomes.at(-1)?.notes).toEqual([expect.stringContaining("filter policy")]);
  });

  test("Fanmail is subscribed even if the topic has another subscription", async () => {
    await connect({ ...https, target: { kind: "https", url: `${endpoint}/other` } });
    await connect(https);
    expect(aws.state.subscriptions.map((one) => one.endpoint)).toEqual([`${endpoint}/other`, endpoint]);
  });

  test("a queue keeps settings that are good enough, its statements and its own dead-letter queue", async () => {
    const own = { Sid: "mine", Effect: "Allow", Principal: "*", Action: "sqs:*", Resource: "*" };
    const redrive = JSON.stringify({ deadLetterTargetArn: "arn:aws:sqs:x:1:mine", maxReceiveCount: 3 });
    const attributes: Record<string, string> = {
      VisibilityTimeout: "300",
      MessageRetentionPeriod: "345600",
      RedrivePolicy: redrive,
      Policy: JSON.stringify({ Version: "2012-10-17", Statement: [own] }),
    };
    aws.state.queues.set("ses-events", { attributes, tags: {} });
    await connect(queue);
    expect([...aws.state.queues.keys()]).toEqual(["ses-events"]);
    expect(attributes).toMatchObject({
      VisibilityTimeout: "300",
      MessageRetentionPeriod: "1209600",
      RedrivePolicy: redrive,
    });
    const policy = JSON.parse(attributes["Policy"] ?? "");
    expect(sids(policy)).toEqual(["mine", "fanmail-sns-ses-events"]);
    expect(policy.Statement[0]).toEqual(own);
    expect(aws.state.subscriptions).toMatchObject([{ protocol: "sqs", isConfirmed: true }]);
  });
});

describe("disconnecting", () => {
  test("a subscription that another configuration set needs stays, and so does the topic", async () => {
    aws.state.sets.set("other", new Map());
    await connect(https);
    await connect({ ...https, configurationSet: "other" });
    await expect(disconnect(https, true)).rejects.toThrow(
      "The topic ses-events is not deleted: other may publish to it; disconnect that first",
    );
    const outcomes = await disconnect(https);
    expect(outcomes.at(-1)?.notes).toEqual(["It stays: events of other come through it."]);
    expect(sids(topicPolicy())).toEqual(["fanmail-ses-other"]);
    expect(aws.state.subscriptions).toHaveLength(1);
    await disconnect({ ...https, configurationSet: "other" }, true);
    expect({
      topics: aws.state.topics.size,
      sets: [...aws.state.sets.values()].map((one) => one.size),
    }).toEqual({ topics: 0, sets: [0, 0] });
  });

  test("a topic with a subscription that was not named is not deleted, and nothing else is removed", async () => {
    await connect(https);
    aws.received.length = 0;
    await expect(disconnect({ ...https, target: null }, true)).rejects.toThrow(
      "it has other subscriptions (1)",
    );
    expect(aws.writes()).toEqual([]);
    const outcomes = await disconnect({ ...https, target: null });
    expect(outcomes[0]?.notes).toEqual([
      "It keeps its subscriptions (1). To end ours, name it: --https URL or --queue name.",
    ]);
    expect(aws.state.subscriptions).toHaveLength(1);
  });

  test("what does not exist is reported, and is not an error", async () => {
    const outcomes = await disconnect({ ...https, configurationSet: "never" }, true);
    expect(outcomes.every(({ outcome }) => outcome === "unchanged")).toBe(true);
    expect(outcomes.flatMap(({ notes }) => notes)).toContain("There is no such configuration set.");
  });
});

/** Every action of a run that creates everything, and of one that corrects everything. */
async function allActions(connection: SesConnection): Promise<string[]> {
  await connect({ ...connection, createsConfigurationSet: true });
  const wanted = aws.state.sets.get(connection.configurationSet)!;
  wanted.set("fanmail", { ...wanted.get("fanmail"), Enabled: false });
  const subscription = aws.state.subscriptions[0]!;
  subscription.attributes["RawMessageDelivery"] = "true";
  for (const { attributes } of aws.state.queues.values()) attributes["VisibilityTimeout"] = "1";
  await connect(connection);
  aws.state.sets.delete(connection.configurationSet);
  const missing = await connect(connection).catch((error: Error) => error);
  expect(missing).toBeInstanceOf(MissingConfigurationSetError);
  if (missing instanceof Error && missing.cause) throw missing;
  return [...new Set(aws.received.map(({ action }) => action))].sort();
}

function allowed(policy: Policy): string[] {
  return policy.Statement.flatMap(({ Action }) => Action as string[]).sort();
}
/** Tags need a permission, but no call. */
const tagging = (action: string) => !/:Tag/.test(action);

describe("what the caller must be allowed", () => {
  test.each([
    ["https", https],
    ["queue", queue],
  ])("the policy that a dry run prints has exactly the actions that are used (%s)", async (_, one) => {
    const connection = { ...one, configurationSet: "new-set" };
    const policy = connectingPolicy({ ...connection, createsConfigurationSet: true }, place);
    expect(allowed(policy).filter(tagging)).toEqual(await allActions(connection));
  });

  test("and so has the policy of disconnecting", async () => {
    aws.state.sets.set("other", new Map());
    await connect(https);
    await connect({ ...https, configurationSet: "other" });
    aws.received.length = 0;
    await disconnect({ ...https, configurationSet: "other" });
    await disconnect(https, true);
    const used = [...new Set(aws.received.map(({ action }) => action))].sort();
    expect(allowed(disconnectingPolicy(https, place, true))).toEqual(used);
  });

  test("each call that AWS refuses is named, with the reason and the remedy", async () => {
    const connection = { ...queue, configurationSet: "new-set" };
    const actions = await allActions(connection);
    expect(actions.length).toBeGreaterThan(15);
    for (const action of actions) {
      aws.reset();
      const code = action.startsWith("sns:") ? "AuthorizationError" : "AccessDeniedException";
      aws.fail(action, new ApiError(403, code, "No policy allows it"));
      const failure = await allActions(connection).then(
        () => "nothing failed",
        (error: Error) => `${error.message} ${error.cause}`,
      );
      expect(failure).toContain(action);
      expect(failure).toContain("AWS does not allow it (No policy allows it). The caller needs");
    }
  });
});
