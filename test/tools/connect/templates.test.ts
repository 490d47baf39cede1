import { getReferencesInExpression, parse } from "@cdktf/hcl2json";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { awsClients } from "../../../src/aws/clients.ts";
import { awsReader } from "../../../src/aws/reader.ts";
import type { SesConnection } from "../../../src/aws/ses-connection.ts";
import { performer } from "../../../src/tools/connect/calls.ts";
import { connectSteps } from "../../../src/tools/connect/connect-steps.ts";
import { carryOut, nothingKnown } from "../../../src/tools/connect/steps.ts";
import { type AwsApiStub, awsApiStub } from "../../support/aws-api-stub.ts";
import { run } from "../../support/command.ts";

/*
 * Parses what `--print` prints as Terraform and CloudFormation do, and compares it with what `connect` creates.
 */

const account = "210987654321";
const topicArn = `arn:aws:sns:eu-west-1:${account}:ses-events`;
const queueArn = `arn:aws:sqs:eu-west-1:${account}:ses-events`;
const deadLetterArn = `${queueArn}-dead`;
const url = "https://fanmail.example.com/ingest/sns?a=%7Bb%7D";
const base = { configurationSet: "my-set", createsConfigurationSet: false, topic: "ses-events" };
const connections: [string, SesConnection, string[]][] = [
  ["https", { ...base, target: { kind: "https", url } }, ["--https", url]],
  ["queue", { ...base, target: { kind: "queue", name: "ses-events" } }, ["--queue", "ses-events"]],
];

let aws: AwsApiStub;

beforeAll(async () => {
  aws = await awsApiStub();
  Object.assign(process.env, aws.environment);
});
afterAll(() => aws?.close());
beforeEach(() => aws.reset());

/** What `connect` leaves in AWS. */
async function connected(connection: SesConnection) {
  const clients = awsClients({ region: "eu-west-1", endpointUrl: aws.url });
  const start = nothingKnown({ partition: "aws", region: "eu-west-1", account }, connection.topic);
  const steps = connectSteps(connection, "default", async () => true);
  await carryOut(
    steps,
    start,
    awsReader(clients),
    performer(clients, async () => {}),
    () => {},
  );
  const queue = aws.state.queues.get("ses-events")?.attributes;
  return {
    topicPolicy: JSON.parse(aws.state.topics.get(topicArn)?.attributes.get("Policy") ?? ""),
    destination: aws.state.sets.get("my-set")?.get("fanmail") as { MatchingEventTypes: string[] },
    subscription: aws.state.subscriptions.map(({ protocol, endpoint }) => ({ protocol, endpoint }))[0],
    queue: queue && {
      policy: JSON.parse(queue["Policy"] ?? ""),
      redrive: JSON.parse(queue["RedrivePolicy"] ?? ""),
      visibility: Number(queue["VisibilityTimeout"]),
      retention: Number(queue["MessageRetentionPeriod"]),
    },
  };
}

/** Without any environment: no AWS call, no database, no configuration. */
async function printed(format: string, args: string[]): Promise<string> {
  const line = ["ses", "connect", "--configuration-set", "my-set", ...args, "--print", format];
  const { code, stdout, stderr } = await run(line, { PORT: "not a port", AWS_ENDPOINT_URL: aws.url });
  expect({ code, stderr, received: aws.received }).toEqual({ code: 0, stderr: "", received: [] });
  return stdout;
}

describe("terraform", () => {
  type Resources = Record<string, Record<string, Record<string, unknown>[]>>;
  const values: Record<string, string> = {
    "aws_sns_topic.fanmail.arn": topicArn,
    "data.aws_arn.fanmail.partition": "aws",
    "data.aws_arn.fanmail.region": "eu-west-1",
    "data.aws_arn.fanmail.account": account,
    "aws_sqs_queue.fanmail.arn": queueArn,
    "aws_sqs_queue.fanmail_dead.arn": deadLetterArn,
  };
  const resolve = (text: unknown) =>
    String(text).replaceAll(/\$\{([a-z_.]+)\}/g, (_, name: string) => values[name] ?? `unknown: ${name}`);
  /** `${jsonencode({…})}` as the value that it stands for. */
  const decoded = (text: unknown) =>
    JSON.parse(resolve(/^\$\{jsonencode\((.*)\)\}$/s.exec(String(text))?.[1]));
  const only = (document: { resource: Resources }, type: string, name = "fanmail") =>
    document.resource[type]?.[name]?.[0] ?? {};

  test.each(connections)("is parsed, and equals what connect makes (%s)", async (_, connection, args) => {
    const document = await parse("main.tf", await printed("terraform", args));
    const made = await connected(connection);
    expect(only(document as never, "aws_sns_topic")).toMatchObject({
      name: "ses-events",
      signature_version: 2,
    });
    expect(decoded(only(document as never, "aws_sns_topic_policy")["policy"])).toEqual(made.topicPolicy);
    const destination = only(document as never, "aws_sesv2_configuration_set_event_destination");
    expect(destination).toMatchObject({
      configuration_set_name: "my-set",
      event_destination_name: "fanmail",
      event_destination: [{ enabled: true, matching_event_types: made.destination.MatchingEventTypes }],
    });
    const { protocol, endpoint, raw_message_delivery } = only(
      document as never,
      "aws_sns_topic_subscription",
    );
    expect({ protocol, endpoint: resolve(endpoint) }).toEqual(made.subscription);
    expect(raw_message_delivery).toBe(false);
    const queue = only(document as never, "aws_sqs_queue");
    const queues = made.queue && {
      policy: decoded(only(document as never, "aws_sqs_queue_policy")["policy"]),
      redrive: decoded(queue["redrive_policy"]),
      visibility: queue["visibility_timeout_seconds"],
      retention: queue["message_retention_seconds"],
    };
    expect(queues).toEqual(made.queue);
  });

  test.each([
    ["https", connections[0]?.[2] ?? []],
    ["queue", connections[1]?.[2] ?? []],
    ["a new configuration set", [...(connections[1]?.[2] ?? []), "--create-configuration-set"]],
  ])("refers only to what it defines (%s)", async (_, args) => {
    const document = await parse("main.tf", await printed("terraform", args));
    const defined = [
      ...Object.entries(document["resource"] as Resources).flatMap(([type, names]) =>
        Object.keys(names).map((name) => `${type}.${name}`),
      ),
      ...Object.entries(document["data"] as Resources).flatMap(([type, names]) =>
        Object.keys(names).map((name) => `data.${type}.${name}`),
      ),
    ];
    const used = (
      await Promise.all(expressionsIn(document).map((text) => getReferencesInExpression("main.tf", text)))
    )
      .flat()
      .map(({ value }) => value);
    const unknown = used.filter((value) => !defined.some((name) => `${value}.`.startsWith(`${name}.`)));
    expect(unknown).toEqual([]);
    expect(used.length).toBeGreaterThan(8);
  });

  function expressionsIn(value: unknown): string[] {
    if (typeof value === "string") return value.includes("${") ? [value] : [];
    if (value === null || typeof value !== "object") return [];
    return Object.values(value).flatMap(expressionsIn);
  }
});

describe("cloudformation", () => {
  const values: Record<string, string> = {
    FanmailTopic: topicArn,
    "FanmailQueue.Arn": queueArn,
    FanmailQueue: "the queue's URL",
    "FanmailDeadLetterQueue.Arn": deadLetterArn,
    FanmailConfigurationSet: "my-set",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::AccountId": account,
  };
  /** Reads a template as CloudFormation would, and notes what it refers to. */
  function read(text: string) {
    const used: string[] = [];
    const value = (name: string) => {
      used.push(name);
      return values[name] ?? `unknown: ${name}`;
    };
    const customTags = [
      { tag: "!Ref", resolve: value },
      { tag: "!GetAtt", resolve: value },
      { tag: "!Sub", resolve: (sub: string) => sub.replaceAll(/\$\{([^}]+)\}/g, (_, name) => value(name)) },
    ];
    const template = parseYaml(text, {
      schema: "yaml-1.1",
      customTags: (tags) => [...tags, ...customTags],
    }) as {
      Resources: Record<string, { Type: string; DependsOn?: string; Properties: Record<string, unknown> }>;
    };
    return { template, used };
  }

  test.each(connections)("is parsed, and equals what connect makes (%s)", async (_, connection, args) => {
    const { Resources } = read(await printed("cloudformation", args)).template;
    const made = await connected(connection);
    expect(Resources["FanmailTopic"]?.Properties).toMatchObject({
      TopicName: "ses-events",
      SignatureVersion: "2",
    });
    expect(Resources["FanmailTopicPolicy"]?.Properties).toEqual({
      Topics: [topicArn],
      PolicyDocument: made.topicPolicy,
    });
    expect(Resources["FanmailEventDestination"]?.Properties).toEqual({
      ConfigurationSetName: "my-set",
      EventDestination: {
        Name: "fanmail",
        Enabled: true,
        // The names that CloudFormation has for them.
        MatchingEventTypes: [
          "send",
          "reject",
          "bounce",
          "complaint",
          "delivery",
          "open",
          "click",
          "renderingFailure",
          "deliveryDelay",
          "subscription",
        ],
        SnsDestination: { TopicARN: topicArn },
      },
    });
    expect(Resources["FanmailSubscription"]?.Properties).toEqual({
      TopicArn: topicArn,
      Protocol: made.subscription?.protocol,
      Endpoint: made.subscription?.endpoint,
      RawMessageDelivery: false,
    });
    const queue = Resources["FanmailQueue"]?.Properties;
    const queues = queue && {
      policy: Resources["FanmailQueuePolicy"]?.Properties["PolicyDocument"],
      redrive: queue["RedrivePolicy"],
      visibility: queue["VisibilityTimeout"],
      retention: queue["MessageRetentionPeriod"],
    };
    expect(queues).toEqual(made.queue);
  });

  test.each([
    ["https", connections[0]?.[2] ?? []],
    ["queue", connections[1]?.[2] ?? []],
    ["a new configuration set", [...(connections[1]?.[2] ?? []), "--create-configuration-set"]],
  ])("refers only to what it defines, and has no alias (%s)", async (_, args) => {
    const text = await printed("cloudformation", args);
    const { template, used } = read(text);
    const defined = Object.keys(template.Resources);
    const depended = Object.values(template.Resources).flatMap(({ DependsOn }) => DependsOn ?? []);
    const names = [...used.filter((name) => !name.startsWith("AWS::")), ...depended];
    expect(names.filter((name) => !defined.includes(name.split(".")[0] ?? ""))).toEqual([]);
    expect(names.length).toBeGreaterThan(4);
    expect(text).not.toMatch(/[&*]a\d/);
  });
});
