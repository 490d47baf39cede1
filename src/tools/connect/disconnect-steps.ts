import {
  type Policy,
  publisherStatement,
  publishingSets,
  readPolicy,
  withoutStatement,
} from "../../aws/policies.ts";
import { ifPresent, type Reader, type Subscription } from "../../aws/reader.ts";
import { eventDestinationName, type SesConnection, subscriptionOf } from "../../aws/ses-connection.ts";
import { parseArn } from "../../domain/arn.ts";
import { findTopic, type Known, type Step } from "./steps.ts";

/** The topic before anything is removed. */
type Found = {
  /** null: there is no such topic. */
  arn: string | null;
  policy: Policy;
  /** Other configuration sets that are connected with the topic. */
  otherSets: string[];
  /** Fanmail's, if it exists. */
  subscription: Subscription | undefined;
};

/**
 * Undoes `connectSteps`. Queues and what was received stay, and so does a subscription that other configuration sets
 * need.
 */
export function disconnectSteps(connection: SesConnection, deletesTopic: boolean): Step[] {
  const found: Found = { arn: null, policy: readPolicy(undefined), otherSets: [], subscription: undefined };
  return [
    lookAround(connection, deletesTopic, found),
    eventDestination(connection, found),
    ...(deletesTopic ? [] : [publisher(connection, found)]),
    ...(connection.target === null ? [] : [unsubscription(found)]),
    ...(deletesTopic ? [deletion(connection, found)] : []),
  ];
}

function lookAround(connection: SesConnection, deletesTopic: boolean, found: Found): Step {
  const { configurationSet, topic, target } = connection;
  return {
    subject: `topic ${topic}`,
    async plan(reader, known) {
      const { arn, isThere } = await findTopic(reader, known);
      if (!isThere) return { calls: [], learnt: { topicArn: arn }, notes: ["There is no such topic."] };
      const { policy, subscriptions } = await topicState(reader, arn);
      const own = target && subscriptionOf(target, parseArn(arn));
      Object.assign(found, {
        arn,
        policy,
        otherSets: publishingSets(policy).filter((name) => name !== configurationSet),
        subscription: subscriptions.find(
          (one) => own !== null && one.protocol === own.protocol && one.endpoint === own.endpoint,
        ),
      });
      const others = subscriptions.filter((one) => one !== found.subscription);
      if (deletesTopic) assertUnshared(topic, found.otherSets, others);
      return { calls: [], learnt: { topicArn: arn }, notes: target ? [] : keptNotes(others.length) };
    },
  };
}

async function topicState(reader: Reader, arn: string) {
  const attributes = (await ifPresent(reader.topicAttributes(arn))) ?? {};
  return { policy: readPolicy(attributes["Policy"]), subscriptions: await reader.subscriptions(arn) };
}

function keptNotes(count: number): string[] {
  if (count === 0) return [];
  return [`It keeps its subscriptions (${count}). To end ours, name it: --https URL or --queue name.`];
}

/** @throws Error when others use the topic too, so that it must not be deleted. */
function assertUnshared(topic: string, otherSets: string[], others: Subscription[]): void {
  if (otherSets.length > 0)
    throw new Error(
      `The topic ${topic} is not deleted: ${otherSets.join(", ")} may publish to it; disconnect that first`,
    );
  if (others.length > 0)
    throw new Error(
      `The topic ${topic} is not deleted: it has other subscriptions (${others.length}); end them first, or name ours with --https or --queue`,
    );
}

function eventDestination({ configurationSet: name }: SesConnection, found: Found): Step {
  return {
    subject: `event destination ${eventDestinationName} of ${name}`,
    async plan(reader) {
      const destinations = await ifPresent(reader.eventDestinations(name));
      if (destinations === null) return { calls: [], notes: ["There is no such configuration set."] };
      const present = destinations.find((one) => one.Name === eventDestinationName);
      if (present === undefined) return { calls: [], notes: ["There is none."] };
      const to = present.SnsDestination?.TopicArn;
      const notes = to === undefined || to === found.arn ? [] : [`It publishes to another topic: ${to}`];
      const input = { ConfigurationSetName: name, EventDestinationName: eventDestinationName };
      return { calls: [{ action: "ses:DeleteConfigurationSetEventDestination", input }], notes };
    },
  };
}

function publisher({ topic, configurationSet }: SesConnection, found: Found): Step {
  return {
    subject: `access policy of ${topic}`,
    async plan() {
      if (found.arn === null) return { calls: [] };
      const { Sid } = publisherStatement(found.arn, parseArn(found.arn), configurationSet);
      const policy = withoutStatement(found.policy, Sid);
      if (policy === null) return { calls: [] };
      if (policy.Statement.length === 0)
        return { calls: [], notes: ["Its only statement stays, for AWS takes no policy without any."] };
      const input = {
        TopicArn: found.arn,
        AttributeName: "Policy",
        AttributeValue: JSON.stringify(policy),
      };
      return { calls: [{ action: "sns:SetTopicAttributes", input }] };
    },
  };
}

function unsubscription(found: Found): Step {
  return {
    subject: "subscription",
    async plan() {
      const { subscription, otherSets } = found;
      if (subscription === undefined) return { calls: [], notes: ["There is none."] };
      if (otherSets.length > 0)
        return { calls: [], notes: [`It stays: events of ${otherSets.join(", ")} come through it.`] };
      if (subscription.arn === null)
        return { calls: [], notes: ["It was never confirmed; AWS drops it by itself."] };
      return { calls: [{ action: "sns:Unsubscribe", input: { SubscriptionArn: subscription.arn } }] };
    },
  };
}

function deletion({ topic }: SesConnection, found: Found): Step {
  return {
    subject: `deletion of the topic ${topic}`,
    async plan(_reader, _known: Known) {
      if (found.arn === null) return { calls: [] };
      return { calls: [{ action: "sns:DeleteTopic", input: { TopicArn: found.arn } }] };
    },
  };
}
