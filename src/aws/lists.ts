import {
  type MultiRegionEndpoint,
  paginateListConfigurationSets,
  paginateListMultiRegionEndpoints,
  type SESv2Client,
} from "@aws-sdk/client-sesv2";
import {
  type Subscription as ListedSubscription,
  paginateListSubscriptionsByTopic,
  paginateListTopics,
  type SNSClient,
} from "@aws-sdk/client-sns";

/*
 * What AWS lists page by page, as a whole. Errors are the SDK's own.
 */

/** @property arn null while it waits for its confirmation, for AWS does not list it then. */
export type Subscription = { arn: string | null; protocol: string; endpoint: string };

export async function listSubscriptions(sns: SNSClient, topicArn: string): Promise<Subscription[]> {
  const found: Subscription[] = [];
  for await (const page of paginateListSubscriptionsByTopic({ client: sns }, { TopicArn: topicArn })) {
    found.push(...(page.Subscriptions ?? []).flatMap(listed));
  }
  return found;
}

/** AWS writes "PendingConfirmation" or "Deleted" where an ARN would be. */
function listed({ SubscriptionArn, Protocol = "", Endpoint = "" }: ListedSubscription): Subscription[] {
  if (SubscriptionArn === "Deleted") return [];
  const arn = SubscriptionArn?.startsWith("arn:") ? SubscriptionArn : null;
  return [{ arn, protocol: Protocol, endpoint: Endpoint }];
}

/** The ARNs of the account's topics in the region. */
export async function listTopicArns(sns: SNSClient): Promise<string[]> {
  const arns: string[] = [];
  for await (const { Topics = [] } of paginateListTopics({ client: sns }, {})) {
    arns.push(...Topics.flatMap(({ TopicArn }) => TopicArn ?? []));
  }
  return arns;
}

/** The names of the account's configuration sets in the region. */
export async function listConfigurationSets(ses: SESv2Client): Promise<string[]> {
  const names: string[] = [];
  for await (const page of paginateListConfigurationSets({ client: ses }, {})) {
    names.push(...(page.ConfigurationSets ?? []));
  }
  return names;
}

/** The global endpoints of which a region is one. */
export async function listGlobalEndpoints(ses: SESv2Client): Promise<MultiRegionEndpoint[]> {
  const endpoints: MultiRegionEndpoint[] = [];
  for await (const page of paginateListMultiRegionEndpoints({ client: ses }, {})) {
    endpoints.push(...(page.MultiRegionEndpoints ?? []));
  }
  return endpoints;
}
