import type { EventDestination } from "@aws-sdk/client-sesv2";
import { policyOf, publisherStatement, readPolicy, withStatement } from "../../aws/policies.ts";
import { type Attributes, ifPresent, type Reader } from "../../aws/reader.ts";
import {
  eventDestinationName,
  managedTag,
  type SesConnection,
  sesEventTypes,
  subscriptionOf,
  type Target,
} from "../../aws/ses-connection.ts";
import { parseArn } from "../../domain/arn.ts";
import { canonicalJson } from "../../domain/json.ts";
import { queueSteps } from "./queue-steps.ts";
import { type Finding, findTopic, type Known, type Planned, type Step } from "./steps.ts";

/** The configuration set is not there, and was not to be made. The text tells which there are. */
export class MissingConfigurationSetError extends Error {
  override readonly name = "MissingConfigurationSetError";
}

/**
 * What connects a configuration set with Fanmail, in an order in which each finds what it needs: SES tries the topic
 * when an event destination is made, and SNS confirms a subscription at once with whoever accepts the topic.
 * @param isAllowed tells whether Fanmail accepts a topic; null when that is not to be looked up.
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
    async look(reader) {
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
    return new MissingConfigurationSetError(`${text} Which there are cannot be told`, { cause });
  }
}

function topic({ topic: name }: SesConnection): Step {
  return {
    subject: `topic ${name}`,
    async look(reader, known) {
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
    async look(reader, { topicArn, isTopicNew }) {
      // The policy that AWS gives a new topic lets its account do what it may do anyway.
      const attributes = isTopicNew ? {} : ((await ifPresent(reader.topicAttributes(topicArn))) ?? {});
      const statement = publisherStatement(topicArn, parseArn(topicArn), configurationSet);
      const policy = isTopicNew
        ? policyOf(statement)
        : withStatement(readPolicy(attributes["Policy"]), statement);
      const calls: Planned[] = [];
      if (policy !== null) calls.push(setTopic(topicArn, "Policy", JSON.stringify(policy)));
      if (!isTopicNew && attributes["SignatureVersion"] !== "2")
        calls.push(setTopic(topicArn, "SignatureVersion", "2"));
      return { calls, notes: encryptionNotes(attributes) };
    },
  };
}

function setTopic(topicArn: string, name: string, value: string): Planned {
  return {
    action: "sns:SetTopicAttributes",
    input: { TopicArn: topicArn, AttributeName: name, AttributeValue: value },
  };
}

function encryptionNotes({ KmsMasterKeyId: key }: Attributes): string[] {
  return key
    ? [`The topic is encrypted with ${key}: that key's policy must let ses.amazonaws.com use it.`]
    : [];
}

function eventDestination({ configurationSet: name }: SesConnection): Step {
  return {
    subject: `event destination ${eventDestinationName} of ${name}`,
    async look(_reader, { topicArn, eventDestinations }) {
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
    async look(_reader, { topicArn }) {
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
    async look(reader, known) {
      const { protocol, endpoint } = subscriptionOf(target, parseArn(known.topicArn));
      const all = known.isTopicNew ? [] : await reader.subscriptions(known.topicArn);
      const present = all.find((one) => one.protocol === protocol && one.endpoint === endpoint);
      if (present?.arn) return { calls: [], learnt: { subscriptionArn: present.arn } };
      // Without attributes, because AWS refuses to repeat a subscription with others than it has.
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

/** Raw messages carry no signature, so that nobody can tell who sent them. */
const rawDelivery: Step = {
  subject: "raw message delivery: off",
  async look(reader, { subscriptionArn: arn }: Known): Promise<Finding> {
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
