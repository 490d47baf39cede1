import type { EventDestination } from "@aws-sdk/client-sesv2";
import {
  policyOf,
  publisherStatement,
  queueStatement,
  readPolicy,
  withStatement,
} from "../../aws/policies.ts";
import { type Attributes, ifPresent, type Reader } from "../../aws/reader.ts";
import {
  deadLetterName,
  eventDestinationName,
  managedTag,
  queueMaxReceives,
  queueRetentionSeconds,
  queueVisibilitySeconds,
  type SesConnection,
  sesEventTypes,
  subscriptionOf,
  type Target,
} from "../../aws/ses-connection.ts";
import { parseArn, queueArn } from "../../domain/arn.ts";
import { canonicalJson } from "../../domain/json.ts";
import { findTopic, type Known, type Plan, type PlannedCall, type Step } from "./steps.ts";

/** The configuration set does not exist, and was not to be made. The text names those that exist. */
export class MissingConfigurationSetError extends Error {
  override readonly name = "MissingConfigurationSetError";
}

/**
 * Connects a configuration set with Fanmail. The order matters: SES tries the topic when an event destination is made,
 * and SNS asks for confirmation as soon as a subscription is made, so Fanmail must accept the topic by then.
 * @param isAllowed whether Fanmail accepts a topic; null when that is not to be looked up.
 */
export function connectSteps(
  connection: SesConnection,
  project: string,
  isAllowed: ((topicArn: string) => Promise<boolean>) | null,
): Step[] {
  const { target } = connection;
  return [
    configurationSet(connection),
    topic(connection),
    topicAttributes(connection),
    eventDestination(connection),
    allowList(project, isAllowed),
    ...(target?.kind === "queue" ? queueSteps(target.name, connection.topic) : []),
    ...(target === null ? [] : [subscription(target), rawDelivery]),
  ];
}

function configurationSet({ configurationSet: name, createsConfigurationSet }: SesConnection): Step {
  return {
    subject: `configuration set ${name}`,
    async plan(reader) {
      const eventDestinations = await ifPresent(reader.eventDestinations(name));
      if (eventDestinations !== null) return { calls: [], learnt: { eventDestinations } };
      if (!createsConfigurationSet) throw await missingConfigurationSet(name, reader);
      const tags = [{ Key: managedTag.key, Value: managedTag.value }];
      return {
        calls: [{ action: "ses:CreateConfigurationSet", input: { ConfigurationSetName: name, Tags: tags } }],
      };
    },
  };
}

async function missingConfigurationSet(name: string, reader: Reader): Promise<MissingConfigurationSetError> {
  const text = `There is no configuration set "${name}" in this region.`;
  try {
    const names = await reader.configurationSets();
    return new MissingConfigurationSetError(`${text} There are: ${names.join(", ") || "none"}`);
  } catch (cause) {
    return new MissingConfigurationSetError(`${text} Those that exist cannot be listed`, { cause });
  }
}

function topic({ topic: name }: SesConnection): Step {
  return {
    subject: `topic ${name}`,
    async plan(reader, known) {
      const { arn, isThere } = await findTopic(reader, known);
      const learnt = { topicArn: arn, isTopicNew: !isThere };
      if (isThere) return { calls: [], learnt };
      const input = {
        Name: name,
        // SHA-256 in place of SHA-1.
        Attributes: { SignatureVersion: "2" },
        Tags: [{ Key: managedTag.key, Value: managedTag.value }],
      };
      return { calls: [{ action: "sns:CreateTopic", input, gives: "topicArn" }], learnt };
    },
  };
}

function topicAttributes({ topic: name, configurationSet }: SesConnection): Step {
  return {
    subject: `access policy and signature of ${name}`,
    async plan(reader, { topicArn, isTopicNew }) {
      // The policy that AWS gives to a new topic only allows its own account what it may do anyway.
      const attributes = isTopicNew ? {} : ((await ifPresent(reader.topicAttributes(topicArn))) ?? {});
      const statement = publisherStatement(topicArn, parseArn(topicArn), configurationSet);
      const policy = isTopicNew
        ? policyOf(statement)
        : withStatement(readPolicy(attributes["Policy"]), statement);
      const calls: PlannedCall[] = [];
      if (policy !== null) calls.push(setTopic(topicArn, "Policy", JSON.stringify(policy)));
      if (!isTopicNew && attributes["SignatureVersion"] !== "2")
        calls.push(setTopic(topicArn, "SignatureVersion", "2"));
      return { calls, notes: encryptionNotes("topic", "ses.amazonaws.com", attributes) };
    },
  };
}

function setTopic(topicArn: string, name: string, value: string): PlannedCall {
  return {
    action: "sns:SetTopicAttributes",
    input: { TopicArn: topicArn, AttributeName: name, AttributeValue: value },
  };
}

function eventDestination({ configurationSet: name }: SesConnection): Step {
  return {
    subject: `event destination ${eventDestinationName} of ${name}`,
    async plan(_reader, { topicArn, eventDestinations }) {
      const present = eventDestinations.find((one) => one.Name === eventDestinationName);
      const notes = eventDestinations
        .filter((one) => one !== present && one.Enabled && one.SnsDestination?.TopicArn === topicArn)
        .map((one) => `${one.Name} publishes to this topic too: events come twice, and count once.`);
      if (present && isAsWanted(present, topicArn)) return { calls: [], notes };
      const input = {
        ConfigurationSetName: name,
        EventDestinationName: eventDestinationName,
        EventDestination: {
          Enabled: true,
          MatchingEventTypes: [...sesEventTypes],
          SnsDestination: { TopicArn: topicArn },
        },
      };
      const verb = present ? "Update" : "Create";
      return { calls: [{ action: `ses:${verb}ConfigurationSetEventDestination`, input }], notes };
    },
  };
}

function isAsWanted(
  { Enabled, MatchingEventTypes = [], SnsDestination }: EventDestination,
  topicArn: string,
): boolean {
  return (
    Enabled === true &&
    SnsDestination?.TopicArn === topicArn &&
    canonicalJson([...MatchingEventTypes].sort()) === canonicalJson([...sesEventTypes].sort())
  );
}

function allowList(project: string, isAllowed: ((topicArn: string) => Promise<boolean>) | null): Step {
  return {
    subject: `allow-list of the project ${project}`,
    async plan(_reader, { topicArn }) {
      if (isAllowed && (await isAllowed(topicArn))) return { calls: [] };
      return {
        calls: [{ action: "fanmail:AllowTopic", input: { TopicArn: topicArn, Project: project } }],
        notes: isAllowed ? [] : ["Whether it is allow-listed already was not looked up."],
      };
    },
  };
}

function subscription(target: Target): Step {
  const name = target.kind === "https" ? target.url : `the queue ${target.name}`;
  return {
    subject: `subscription of ${name}`,
    async plan(reader, known) {
      const { protocol, endpoint } = subscriptionOf(target, parseArn(known.topicArn));
      const all = known.isTopicNew ? [] : await reader.subscriptions(known.topicArn);
      const present = all.find((one) => one.protocol === protocol && one.endpoint === endpoint);
      if (present?.arn) return { calls: [], learnt: { subscriptionArn: present.arn } };
      // Without attributes: AWS refuses to subscribe an endpoint again with attributes that differ.
      const input = {
        TopicArn: known.topicArn,
        Protocol: protocol,
        Endpoint: endpoint,
        ReturnSubscriptionArn: true,
      };
      return {
        calls: [{ action: "sns:Subscribe", input, gives: "subscriptionArn" }],
        notes: present ? ["It waits for its confirmation, which is sent once more."] : [],
      };
    },
  };
}

/** Raw messages carry no signature, so their sender cannot be verified. */
const rawDelivery: Step = {
  subject: "raw message delivery: off",
  async plan(reader, { subscriptionArn: arn }: Known): Promise<Plan> {
    const attributes = arn === null ? null : await ifPresent(reader.subscriptionAttributes(arn));
    if (arn === null || attributes === null) return { calls: [] };
    const notes = attributes["FilterPolicy"]
      ? ["The subscription has a filter policy: events that it holds back never arrive."]
      : [];
    if (attributes["RawMessageDelivery"] !== "true") return { calls: [], notes };
    const input = { SubscriptionArn: arn, AttributeName: "RawMessageDelivery", AttributeValue: "false" };
    return { calls: [{ action: "sns:SetSubscriptionAttributes", input }], notes };
  },
};

const tags = { [managedTag.key]: managedTag.value };
const retention = { MessageRetentionPeriod: String(queueRetentionSeconds) };

/** The SQS queue and its dead-letter queue. A queue that exists keeps settings that are good enough. */
function queueSteps(name: string, topic: string): Step[] {
  return [
    {
      subject: `dead-letter queue of ${name}`,
      plan: (reader, known) => deadLetterQueue(name, reader, known),
    },
    { subject: `queue ${name}`, plan: async (_reader, known) => queue(name, topic, known) },
  ];
}

async function deadLetterQueue(name: string, reader: Reader, { topicArn }: Known): Promise<Plan> {
  const url = await ifPresent(reader.queueUrl(name));
  const attributes = url === null ? null : await ifPresent(reader.queueAttributes(url));
  const present = url === null || attributes === null ? null : { url, attributes };
  if (present?.attributes["RedrivePolicy"]) return { calls: [], learnt: { queue: present, queueUrl: url } };
  const deadName = deadLetterName(name);
  const learnt = { queue: present, queueUrl: url, deadLetterArn: queueArn(parseArn(topicArn), deadName) };
  if ((await ifPresent(reader.queueUrl(deadName))) !== null) return { calls: [], learnt };
  const input = { QueueName: deadName, Attributes: retention, tags };
  return { calls: [{ action: "sqs:CreateQueue", input }], learnt };
}

function queue(name: string, topic: string, { topicArn, queue: present, deadLetterArn }: Known): Plan {
  const attributes = present?.attributes ?? {};
  const arn = attributes["QueueArn"] ?? queueArn(parseArn(topicArn), name);
  const policy = withStatement(readPolicy(attributes["Policy"]), queueStatement(arn, topicArn, topic));
  const wanted: Record<string, string> = {
    ...atLeast(attributes, "VisibilityTimeout", queueVisibilitySeconds),
    ...atLeast(attributes, "MessageRetentionPeriod", queueRetentionSeconds),
    ...(deadLetterArn && {
      RedrivePolicy: JSON.stringify({
        deadLetterTargetArn: deadLetterArn,
        maxReceiveCount: queueMaxReceives,
      }),
    }),
    ...(policy && { Policy: JSON.stringify(policy) }),
  };
  const notes = encryptionNotes("queue", "sns.amazonaws.com", attributes);
  if (present === null) {
    const input = { QueueName: name, Attributes: wanted, tags };
    return { calls: [{ action: "sqs:CreateQueue", input, gives: "queueUrl" }] };
  }
  if (Object.keys(wanted).length === 0) return { calls: [], notes };
  const input = { QueueUrl: present.url, Attributes: wanted };
  return { calls: [{ action: "sqs:SetQueueAttributes", input }], notes };
}

function atLeast(attributes: Attributes, name: string, least: number): Record<string, string> {
  return Number(attributes[name] ?? 0) >= least ? {} : { [name]: String(least) };
}

function encryptionNotes(
  what: "topic" | "queue",
  service: string,
  { KmsMasterKeyId: key }: Attributes,
): string[] {
  return key ? [`The ${what} is encrypted with ${key}: that key's policy must let ${service} use it.`] : [];
}
