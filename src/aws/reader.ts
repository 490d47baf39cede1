import {
  type EventDestination,
  GetAccountCommand,
  type GetAccountCommandOutput,
  GetConfigurationSetCommand,
  GetConfigurationSetEventDestinationsCommand,
  type MultiRegionEndpoint,
  paginateListConfigurationSets,
  paginateListMultiRegionEndpoints,
} from "@aws-sdk/client-sesv2";
import {
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  type Subscription as ListedSubscription,
  paginateListSubscriptionsByTopic,
  paginateListTopics,
} from "@aws-sdk/client-sns";
import { GetQueueAttributesCommand, GetQueueUrlCommand } from "@aws-sdk/client-sqs";
import type { AwsClients } from "./clients.ts";
import { AwsCallError, awsCallError } from "./failure.ts";

export type Attributes = Readonly<Record<string, string>>;

/** @property arn null while it waits for its confirmation; AWS does not list it then. */
export type Subscription = { arn: string | null; protocol: string; endpoint: string };

/** Reads what exists, and changes nothing. Each throws AwsCallError. */
export type SesReader = {
  account(): Promise<GetAccountCommandOutput>;
  /** The names of the account's configuration sets in the region. */
  configurationSets(): Promise<string[]>;
  isSending(configurationSet: string): Promise<boolean>;
  eventDestinations(configurationSet: string): Promise<EventDestination[]>;
  /** The global endpoints of which the region is one. */
  globalEndpoints(): Promise<MultiRegionEndpoint[]>;
};

export type SnsReader = {
  /** The ARNs of the account's topics in the region. */
  topics(): Promise<string[]>;
  topicAttributes(arn: string): Promise<Attributes>;
  subscriptions(topicArn: string): Promise<Subscription[]>;
  subscriptionAttributes(arn: string): Promise<Attributes>;
};

export type SqsReader = {
  /** @param account if it is not the caller's. */
  queueUrl(name: string, account?: string): Promise<string>;
  queueAttributes(url: string): Promise<Attributes>;
};

export type Reader = SesReader & SnsReader & SqsReader;

/** @param signal aborts calls, except those that list something. */
export function awsReader(clients: AwsClients, signal?: AbortSignal): Reader {
  const options = signal === undefined ? {} : { abortSignal: signal };
  return { ...sesReader(clients, options), ...snsReader(clients, options), ...sqsReader(clients, options) };
}

/** Stands for an account that cannot be read: nothing exists, except the configuration set if so assumed. */
export function emptyAccount(hasConfigurationSet: boolean): Reader {
  const none = async () => [];
  const missing = async (): Promise<never> => {
    throw awsCallError("none", "an empty account", { name: "NotFound", message: "It is empty" });
  };
  return {
    account: missing,
    configurationSets: none,
    isSending: missing,
    eventDestinations: hasConfigurationSet ? none : missing,
    globalEndpoints: none,
    topics: none,
    topicAttributes: missing,
    subscriptions: none,
    subscriptionAttributes: missing,
    queueUrl: missing,
    queueAttributes: missing,
  };
}

/** @returns null when AWS says that it does not exist. */
export async function ifPresent<Value>(reading: Promise<Value>): Promise<Value | null> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof AwsCallError && error.kind === "missing") return null;
    throw error;
  }
}

type Options = { abortSignal?: AbortSignal };

function sesReader({ ses }: AwsClients, options: Options): SesReader {
  return {
    account: () => reading("ses:GetAccount", "the account", ses.send(new GetAccountCommand({}), options)),
    configurationSets: () =>
      reading(
        "ses:ListConfigurationSets",
        "the configuration sets",
        all(paginateListConfigurationSets({ client: ses }, {}), (page) => page.ConfigurationSets),
      ),
    async isSending(name) {
      const command = new GetConfigurationSetCommand({ ConfigurationSetName: name });
      const answer = reading("ses:GetConfigurationSet", configurationSet(name), ses.send(command, options));
      return (await answer).SendingOptions?.SendingEnabled ?? true;
    },
    async eventDestinations(name) {
      const command = new GetConfigurationSetEventDestinationsCommand({ ConfigurationSetName: name });
      const action = "ses:GetConfigurationSetEventDestinations";
      const answer = reading(action, configurationSet(name), ses.send(command, options));
      return (await answer).EventDestinations ?? [];
    },
    globalEndpoints: () =>
      reading(
        "ses:ListMultiRegionEndpoints",
        "the global endpoints",
        all(paginateListMultiRegionEndpoints({ client: ses }, {}), (page) => page.MultiRegionEndpoints),
      ),
  };
}

function snsReader({ sns }: AwsClients, options: Options): SnsReader {
  return {
    async topics() {
      const topics = all(paginateListTopics({ client: sns }, {}), (page) => page.Topics);
      return (await reading("sns:ListTopics", "the topics", topics)).flatMap(
        ({ TopicArn }) => TopicArn ?? [],
      );
    },
    async topicAttributes(arn) {
      const command = new GetTopicAttributesCommand({ TopicArn: arn });
      const answer = reading("sns:GetTopicAttributes", `the topic ${arn}`, sns.send(command, options));
      return (await answer).Attributes ?? {};
    },
    async subscriptions(topicArn) {
      const pages = paginateListSubscriptionsByTopic({ client: sns }, { TopicArn: topicArn });
      const found = all(pages, (page) => page.Subscriptions);
      return (await reading("sns:ListSubscriptionsByTopic", `the topic ${topicArn}`, found)).flatMap(listed);
    },
    async subscriptionAttributes(arn) {
      const command = new GetSubscriptionAttributesCommand({ SubscriptionArn: arn });
      const subject = `the subscription ${arn}`;
      const answer = reading("sns:GetSubscriptionAttributes", subject, sns.send(command, options));
      return (await answer).Attributes ?? {};
    },
  };
}

function sqsReader({ sqs }: AwsClients, options: Options): SqsReader {
  return {
    async queueUrl(name, account) {
      const command = new GetQueueUrlCommand({ QueueName: name, QueueOwnerAWSAccountId: account });
      const answer = reading("sqs:GetQueueUrl", `the queue ${name}`, sqs.send(command, options));
      return (await answer).QueueUrl ?? "";
    },
    async queueAttributes(url) {
      const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ["All"] });
      const answer = reading("sqs:GetQueueAttributes", `the queue ${url}`, sqs.send(command, options));
      return (await answer).Attributes ?? {};
    },
  };
}

function configurationSet(name: string): string {
  return `the configuration set ${name}`;
}

/** AWS writes "PendingConfirmation" or "Deleted" where an ARN would be. */
function listed({ SubscriptionArn, Protocol = "", Endpoint = "" }: ListedSubscription): Subscription[] {
  if (SubscriptionArn === "Deleted") return [];
  const arn = SubscriptionArn?.startsWith("arn:") ? SubscriptionArn : null;
  return [{ arn, protocol: Protocol, endpoint: Endpoint }];
}

async function all<Page, Row>(
  pages: AsyncIterable<Page>,
  rowsOf: (page: Page) => Row[] | undefined,
): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const page of pages) rows.push(...(rowsOf(page) ?? []));
  return rows;
}

async function reading<Answer>(action: string, subject: string, answer: Promise<Answer>): Promise<Answer> {
  try {
    return await answer;
  } catch (error) {
    throw awsCallError(action, subject, error);
  }
}
