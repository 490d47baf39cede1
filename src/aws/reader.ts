import { type EventDestination, GetConfigurationSetEventDestinationsCommand } from "@aws-sdk/client-sesv2";
import { GetSubscriptionAttributesCommand, GetTopicAttributesCommand } from "@aws-sdk/client-sns";
import { GetQueueAttributesCommand, GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import type { AwsClients } from "./clients.ts";
import { awsCallError, isMissing } from "./failure.ts";
import { listConfigurationSets, listSubscriptions, listTopicArns, type Subscription } from "./lists.ts";

export type Attributes = Readonly<Record<string, string>>;

/** What is there. Nothing here changes anything; null stands for what is missing. */
export type Reader = {
  eventDestinations(configurationSet: string): Promise<EventDestination[] | null>;
  configurationSets(): Promise<string[]>;
  /** The ARNs of the account's topics in the region. */
  topics(): Promise<string[]>;
  topicAttributes(arn: string): Promise<Attributes | null>;
  subscriptions(topicArn: string): Promise<Subscription[]>;
  subscriptionAttributes(arn: string): Promise<Attributes | null>;
  queueUrl(name: string): Promise<string | null>;
  queueAttributes(url: string): Promise<Attributes | null>;
};

/** Stands for an account that cannot be looked into. */
export function emptyAccount(hasConfigurationSet: boolean): Reader {
  return {
    eventDestinations: async () => (hasConfigurationSet ? [] : null),
    configurationSets: async () => [],
    topics: async () => [],
    topicAttributes: async () => null,
    subscriptions: async () => [],
    subscriptionAttributes: async () => null,
    queueUrl: async () => null,
    queueAttributes: async () => null,
  };
}

export function awsReader(clients: AwsClients): Reader {
  return { ...sesReader(clients), ...snsReader(clients), ...sqsReader(clients) };
}

function sesReader({ ses }: AwsClients): Pick<Reader, "eventDestinations" | "configurationSets"> {
  return {
    eventDestinations: (name) =>
      read("ses:GetConfigurationSetEventDestinations", `the configuration set ${name}`, async () => {
        const command = new GetConfigurationSetEventDestinationsCommand({ ConfigurationSetName: name });
        return (await ses.send(command)).EventDestinations ?? [];
      }),
    configurationSets: () =>
      list("ses:ListConfigurationSets", "the configuration sets", () => listConfigurationSets(ses)),
  };
}

function snsReader({
  sns,
}: AwsClients): Pick<Reader, "topics" | "topicAttributes" | "subscriptions" | "subscriptionAttributes"> {
  return {
    topics: () => list("sns:ListTopics", "the topics", () => listTopicArns(sns)),
    topicAttributes: (arn) =>
      read("sns:GetTopicAttributes", `the topic ${arn}`, async () => {
        return (await sns.send(new GetTopicAttributesCommand({ TopicArn: arn }))).Attributes ?? {};
      }),
    subscriptions: (topicArn) =>
      list("sns:ListSubscriptionsByTopic", `the topic ${topicArn}`, () => listSubscriptions(sns, topicArn)),
    subscriptionAttributes: (arn) =>
      read("sns:GetSubscriptionAttributes", `the subscription ${arn}`, async () => {
        const command = new GetSubscriptionAttributesCommand({ SubscriptionArn: arn });
        return (await sns.send(command)).Attributes ?? {};
      }),
  };
}

function sqsReader({ sqs }: AwsClients): Pick<Reader, "queueUrl" | "queueAttributes"> {
  return {
    queueUrl: (name) =>
      read("sqs:GetQueueUrl", `the queue ${name}`, async () => {
        return (await sqs.send(new GetQueueUrlCommand({ QueueName: name }))).QueueUrl ?? null;
      }),
    queueAttributes: (url) =>
      read("sqs:GetQueueAttributes", `the queue ${url}`, async () => {
        const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
        return (await sqs.send(command)).Attributes ?? {};
      }),
  };
}

async function read<T>(action: string, subject: string, ask: () => Promise<T | null>): Promise<T | null> {
  try {
    return await ask();
  } catch (error) {
    if (isMissing(error)) return null;
    throw awsCallError(action, subject, error);
  }
}

async function list<T>(action: string, subject: string, ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    throw awsCallError(action, subject, error);
  }
}
