import { type AwsClients, awsClients, configuredRegion, hasCredentials } from "../aws/clients.ts";
import { connectingPolicy, disconnectingPolicy, type Policy } from "../aws/policies.ts";
import { awsReader, emptyAccount } from "../aws/reader.ts";
import type { SesConnection } from "../aws/ses-connection.ts";
import type { StoreContext } from "../context.ts";
import { type AwsPlace, parseArn, partitionOf } from "../domain/arn.ts";
import { errorText } from "../logger.ts";
import type { Project } from "../storage/projects.ts";
import { performer } from "../tools/connect/calls.ts";
import { cloudFormation } from "../tools/connect/cloudformation.ts";
import { allowTopic, explainUnconfirmed, waitForConfirmation } from "../tools/connect/confirmation.ts";
import { connectSteps, MissingConfigurationSetError } from "../tools/connect/connect-steps.ts";
import { disconnectSteps } from "../tools/connect/disconnect-steps.ts";
import { carryOut, type Known, nothingKnown, type Outcome, type Step } from "../tools/connect/steps.ts";
import { terraform } from "../tools/connect/terraform.ts";
import { type Command, environmentConfig, print, printJson, readOptions, UsageError } from "./command.ts";
import { readAccount, readConnection, readRegions, readWaitSeconds, sharedOptions } from "./ses-options.ts";
import { isAllowedFor } from "./topics.ts";
import { making, projectNamed, withStore } from "./with-store.ts";

export const ses: Command = {
  help: [
    "npx fanmail ses connect --configuration-set <name> (--https <URL> | --queue <name>)",
    "    [--topic ses-events] [--project default] [--create-configuration-set] [--wait 60]",
    "    [--region eu-west-1 | --regions eu-west-1,us-east-1] [--dry-run] [--account <id>] [--json]",
    "npx fanmail ses connect … --print terraform|cloudformation",
    "npx fanmail ses disconnect --configuration-set <name> [--https <URL> | --queue <name>]",
    "    [--topic ses-events] [--delete-topic] [--region eu-west-1 | --regions eu-west-1,us-east-1]",
    "    [--dry-run] [--account <id>] [--json]",
    "",
    "connect creates what is missing: the topic, the event destination, the subscription (with --queue also the",
    "queue), and makes Fanmail accept the topic. Running it again changes nothing. --dry-run shows every call and",
    "the policy that the caller needs; it works without credentials too. disconnect removes the event destination",
    "and the subscription that you name; what was received stays. --regions does the same in each region, for a",
    "global endpoint of SES: it sends from two regions, and each publishes to its own topics.",
    "Credentials and region come from the usual places of AWS tools: AWS_PROFILE, AWS_ACCESS_KEY_ID, AWS_REGION,",
    "roles.",
  ].join("\n"),
  async run([action, ...args]) {
    if (action === "connect") return connect(args);
    if (action === "disconnect") return disconnect(args);
    throw new UsageError("Say what to do: connect or disconnect");
  },
};

type Manner = { isDryRun: boolean; asJson: boolean };

/** What was done in a region. @property answer as JSON. */
type Done = { answer: object; isComplete: boolean; queueUrl?: string | null };

async function connect(args: string[]): Promise<number> {
  const values = readOptions(args, {
    ...sharedOptions,
    project: { type: "string", default: "default" },
    wait: { type: "string", default: "60" },
    print: { type: "string" },
    "create-configuration-set": { type: "boolean", default: false },
  });
  const connection = readConnection(values, values["create-configuration-set"]);
  if (connection.target === null)
    throw new UsageError(
      "Say how events come: --https https://fanmail.example.com/ingest/sns, or --queue name",
    );
  const waitSeconds = readWaitSeconds(values.wait);
  const places = { ...values, regions: readRegions(values.region, values.regions) };
  if (values.print !== undefined) {
    if (places.regions.length > 1)
      throw new UsageError(
        "--print makes the template of one region: apply it in each, and leave --regions out",
      );
    return printTemplate(values.print, connection);
  }
  const manner = { isDryRun: values["dry-run"], asJson: values.json };
  if (manner.isDryRun) {
    const steps = connectSteps(connection, values.project, null);
    return inEach(places, (aws) =>
      rehearse(aws, connection, steps, manner, (place) => connectingPolicy(connection, place)),
    );
  }
  return withStore(async (store) => {
    const project = await projectNamed(store, values.project);
    return inEach(places, (aws) => connectFor(store, project, aws, connection, waitSeconds, manner));
  }, making);
}

async function disconnect(args: string[]): Promise<number> {
  const values = readOptions(args, {
    ...sharedOptions,
    "delete-topic": { type: "boolean", default: false },
  });
  const connection = readConnection(values);
  const deletesTopic = values["delete-topic"];
  const places = { ...values, regions: readRegions(values.region, values.regions) };
  const manner = { isDryRun: values["dry-run"], asJson: values.json };
  const steps = disconnectSteps(connection, deletesTopic);
  return inEach(places, async (aws) => {
    if (manner.isDryRun)
      return rehearse(aws, connection, steps, manner, (place) =>
        disconnectingPolicy(connection, place, deletesTopic),
      );
    const { known, outcomes } = await run(aws, connection, steps, manner, true);
    if (!manner.asJson)
      print(`\nFanmail still accepts the topic; to stop that: npx fanmail topics remove ${known.topicArn}`);
    return {
      answer: { dry_run: false, topic_arn: known.topicArn, steps: outcomes },
      isComplete: true,
    };
  });
}

type Places = { regions: (string | null)[]; account?: string | undefined; json: boolean };

/** Repeats `act` in each region. The first call that fails ends it; what was done before stays done. */
async function inEach({ regions, account, json }: Places, act: (aws: Aws) => Promise<Done>): Promise<number> {
  const done: Done[] = [];
  for (const region of regions) {
    const aws = await openAws(region, account);
    if (regions.length > 1 && !json) print(`${done.length > 0 ? "\n" : ""}Region ${aws.place.region}`);
    done.push(await act(aws));
  }
  const answers = done.map(({ answer }) => answer);
  if (json) printJson(answers.length === 1 ? answers[0] : { regions: answers });
  const queueUrls = done.flatMap(({ queueUrl }) => queueUrl ?? []);
  if (!json && queueUrls.length > 0)
    print(`Let the receiver read the queue:\n\nSQS_QUEUE_URLS=${queueUrls.join(",")}`);
  return done.every(({ isComplete }) => isComplete) ? 0 : 1;
}

function printTemplate(format: string, connection: SesConnection): number {
  if (format === "terraform") print(terraform(connection));
  else if (format === "cloudformation") print(cloudFormation(connection).trimEnd());
  else throw new UsageError(`--print takes terraform or cloudformation, not "${format}"`);
  return 0;
}

type Aws = { clients: AwsClients; place: AwsPlace; store?: { store: StoreContext; project: Project } };

async function openAws(given: string | null, account: string | undefined): Promise<Aws> {
  const { awsRegion, awsEndpointUrl } = environmentConfig();
  const clients = awsClients({ region: given ?? awsRegion, endpointUrl: awsEndpointUrl });
  const region = await configuredRegion(clients);
  if (region === null)
    throw new UsageError("Name the region that you send from: --region eu-west-1, or AWS_REGION");
  return { clients, place: { partition: partitionOf(region), region, account: readAccount(account) } };
}

/** Shows what would be done. It only reads, and without credentials it assumes that nothing exists. */
async function rehearse(
  aws: Aws,
  connection: SesConnection,
  steps: Step[],
  manner: Manner,
  policyFor: (place: AwsPlace) => Policy,
): Promise<Done> {
  const canLook = await hasCredentials(aws.clients);
  if (!manner.asJson) {
    print("Dry run: nothing is changed.");
    if (!canLook)
      print(
        `There are no AWS credentials: this assumes that nothing is there, in account ${aws.place.account}.`,
      );
    print();
  }
  const { known, outcomes } = await run(aws, connection, steps, manner, canLook);
  const policy = policyFor(parseArn(known.topicArn));
  if (!manner.asJson) {
    print("\nThe caller needs this policy:");
    printJson(policy);
  }
  const answer = {
    dry_run: true,
    looked: canLook,
    topic_arn: known.topicArn,
    steps: outcomes,
    caller_policy: policy,
  };
  return { answer, isComplete: true };
}

async function connectFor(
  store: StoreContext,
  project: Project,
  aws: Aws,
  connection: SesConnection,
  waitSeconds: number,
  manner: Manner,
): Promise<Done> {
  const steps = connectSteps(connection, project.name, (arn) => isAllowedFor(store.db, project, arn));
  const { known, outcomes } = await run(
    { ...aws, store: { store, project } },
    connection,
    steps,
    manner,
    true,
  );
  const isConfirmed = await confirmed(aws, known, waitSeconds);
  if (isConfirmed && !manner.asJson) print(`\nConnected: ${known.topicArn}`);
  if (!isConfirmed) {
    const checks = await explainUnconfirmed(store, known.topicArn, connection.target);
    process.stderr.write(
      [
        `fanmail ses: The subscription was not confirmed within ${waitSeconds} s.`,
        ...checks,
        "Then run this command again: SNS sends its message once more.\n",
      ].join("\n"),
    );
  }
  const answer = {
    dry_run: false,
    topic_arn: known.topicArn,
    subscription: { arn: known.subscriptionArn, state: isConfirmed ? "confirmed" : "pending" },
    sqs_queue_urls: known.queueUrl,
    steps: outcomes,
  };
  return { answer, isComplete: isConfirmed, queueUrl: isConfirmed ? known.queueUrl : null };
}

/** Carries out the steps and prints each, unless everything is printed as JSON at the end. */
async function run(
  { clients, place, store }: Aws,
  connection: SesConnection,
  steps: Step[],
  { isDryRun, asJson }: Manner,
  canLook: boolean,
): Promise<{ known: Known; outcomes: Outcome[] }> {
  const outcomes: Outcome[] = [];
  const reader = canLook ? awsReader(clients) : emptyAccount(!connection.createsConfigurationSet);
  const perform = performer(clients, async ({ TopicArn }) => {
    if (store) await allowTopic(store.store, store.project, TopicArn);
  });
  const onOutcome = (outcome: Outcome) => {
    outcomes.push(outcome);
    if (!asJson) printOutcome(outcome);
  };
  try {
    const start = nothingKnown(place, connection.topic);
    const known = await carryOut(steps, start, reader, isDryRun ? null : perform, onOutcome);
    return { known, outcomes };
  } catch (error) {
    if (!(error instanceof MissingConfigurationSetError)) throw error;
    const hint = `Name one of them, or another region than ${place.region}, or make it with --create-configuration-set`;
    throw new UsageError(`${errorText(error)}. ${hint}`);
  }
}

function printOutcome({ subject, outcome, calls, notes }: Outcome): void {
  print(`${outcome.padEnd(10)} ${subject}`);
  for (const { action, input } of calls) {
    print(`           ${action}`);
    if (outcome === "planned")
      print(JSON.stringify(readable(input), null, 2).replaceAll(/^/gm, " ".repeat(13)));
  }
  for (const note of notes) print(`           ${note}`);
}

/** Parses parameters that are JSON texts, such as policies. */
function readable(value: unknown): unknown {
  if (typeof value === "string" && value.startsWith("{")) return JSON.parse(value);
  if (value === null || typeof value !== "object" || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, readable(part)]));
}

async function confirmed({ clients }: Aws, known: Known, waitSeconds: number): Promise<boolean> {
  if (known.subscriptionArn === null) return false;
  const onWait = (seconds: number) => {
    if (seconds % 10 !== 0) return;
    process.stderr.write(`Waiting for SNS to confirm the subscription: ${seconds} of ${waitSeconds} s\n`);
  };
  return waitForConfirmation(awsReader(clients), known.subscriptionArn, waitSeconds, onWait);
}
