import { randomUUID } from "node:crypto";
import {
  ApiError,
  type AwsState,
  arnOf,
  lets,
  type Operation,
  page,
  type StubSubscription,
} from "./aws-state.ts";

type Input = Record<string, unknown>;

export const snsOperations: Record<string, Operation> = {
  "sns:ListTopics": ({ topics }, { NextToken }) => {
    const { rows, NextToken: next } = page([...topics.keys()], NextToken);
    return { Topics: rows.map((TopicArn) => ({ TopicArn })), NextToken: next };
  },
  "sns:CreateTopic": createTopic,
  "sns:GetTopicAttributes": (state, { TopicArn }) => ({ Attributes: topicOf(state, TopicArn).attributes }),
  "sns:SetTopicAttributes": setTopicAttributes,
  "sns:DeleteTopic": (state, { TopicArn }) => {
    state.topics.delete(String(TopicArn));
    state.subscriptions = state.subscriptions.filter(({ topicArn }) => topicArn !== TopicArn);
    return {};
  },
  "sns:Subscribe": subscribe,
  "sns:ListSubscriptionsByTopic": (state, { TopicArn, NextToken }) => {
    topicOf(state, TopicArn);
    const all = state.subscriptions.filter(({ topicArn }) => topicArn === TopicArn);
    const { rows, NextToken: next } = page(all, NextToken);
    const Subscriptions = rows.map(({ arn, topicArn, protocol, endpoint, isConfirmed }) => ({
      SubscriptionArn: isConfirmed ? arn : "PendingConfirmation",
      Owner: state.account,
      Protocol: protocol,
      Endpoint: endpoint,
      TopicArn: topicArn,
    }));
    return { Subscriptions, NextToken: next };
  },
  "sns:GetSubscriptionAttributes": (state, { SubscriptionArn }) => {
    const one = subscriptionOf(state, SubscriptionArn);
    state.onAsked(one);
    const own = { SubscriptionArn: one.arn, PendingConfirmation: String(!one.isConfirmed) };
    return {
      Attributes: new Map(Object.entries({ RawMessageDelivery: "false", ...one.attributes, ...own })),
    };
  },
  "sns:SetSubscriptionAttributes": (state, { SubscriptionArn, AttributeName, AttributeValue }) => {
    subscriptionOf(state, SubscriptionArn).attributes[String(AttributeName)] = String(AttributeValue);
    return {};
  },
  "sns:Unsubscribe": (state, { SubscriptionArn }) => {
    subscriptionOf(state, SubscriptionArn);
    state.subscriptions = state.subscriptions.filter(({ arn }) => arn !== SubscriptionArn);
    return {};
  },
};

/** The policy that AWS gives to a new topic. */
export function defaultPolicy(arn: string, account: string): object {
  return {
    Version: "2008-10-17",
    Id: "__default_policy_ID",
    Statement: [
      {
        Sid: "__default_statement_ID",
        Effect: "Allow",
        Principal: { AWS: "*" },
        Action: ["SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:Subscribe", "SNS:Publish"],
        Resource: arn,
        Condition: { StringEquals: { "AWS:SourceOwner": account } },
      },
    ],
  };
}

function createTopic(state: AwsState, input: Input): object {
  const arn = arnOf(state, "sns", String(input["Name"]));
  if (state.topics.has(arn))
    throw new ApiError(
      400,
      "InvalidParameter",
      "Invalid parameter: Tags Reason: Topic already exists with different tags",
    );
  const attributes = new Map([["Policy", JSON.stringify(defaultPolicy(arn, state.account))]]);
  for (const [key, value] of pairs(input, "Attributes.entry", "key", "value")) attributes.set(key, value);
  state.topics.set(arn, {
    attributes,
    tags: Object.fromEntries(pairs(input, "Tags.member", "Key", "Value")),
  });
  return { TopicArn: arn };
}

function setTopicAttributes(state: AwsState, { TopicArn, AttributeName, AttributeValue }: Input): object {
  const topic = topicOf(state, TopicArn);
  if (AttributeName === "Policy") {
    const { Statement } = JSON.parse(String(AttributeValue));
    const isOurs = Statement.length > 0 && Statement.every((one: Input) => one["Resource"] === TopicArn);
    if (!isOurs)
      throw new ApiError(
        400,
        "InvalidParameter",
        "Invalid parameter: Policy statement resource out of scope",
      );
  }
  topic.attributes.set(String(AttributeName), String(AttributeValue));
  return {};
}

async function subscribe(state: AwsState, { TopicArn, Protocol, Endpoint }: Input): Promise<object> {
  topicOf(state, TopicArn);
  const present = state.subscriptions.find(
    (one) => one.topicArn === TopicArn && one.protocol === Protocol && one.endpoint === Endpoint,
  );
  const subscription = present ?? {
    arn: `${TopicArn}:${randomUUID()}`,
    topicArn: String(TopicArn),
    protocol: String(Protocol),
    endpoint: String(Endpoint),
    isConfirmed: false,
    attributes: {},
  };
  if (!present) state.subscriptions.push(subscription);
  if (Protocol === "sqs") confirmQueue(state, subscription);
  else await state.onSubscribe(subscription);
  return { SubscriptionArn: subscription.arn };
}

function confirmQueue(state: AwsState, subscription: StubSubscription): void {
  const policy = state.queues.get(subscription.endpoint.split(":").at(-1) ?? "")?.attributes["Policy"];
  subscription.isConfirmed = lets(policy, {
    service: "sns.amazonaws.com",
    action: "sqs:SendMessage",
    resource: subscription.endpoint,
    context: { "aws:sourcearn": subscription.topicArn },
  });
}

function topicOf({ topics }: AwsState, arn: unknown) {
  const topic = topics.get(String(arn));
  if (topic) return topic;
  throw new ApiError(404, "NotFound", "Topic does not exist");
}

function subscriptionOf({ subscriptions }: AwsState, arn: unknown): StubSubscription {
  const subscription = subscriptions.find((one) => one.arn === arn);
  if (subscription) return subscription;
  throw new ApiError(404, "NotFound", "Subscription does not exist");
}

/** `Tags.member.1.Key=…&Tags.member.1.Value=…` */
function pairs(input: Input, prefix: string, key: string, value: string): [string, string][] {
  const found: [string, string][] = [];
  for (let n = 1; `${prefix}.${n}.${key}` in input; n++)
    found.push([String(input[`${prefix}.${n}.${key}`]), String(input[`${prefix}.${n}.${value}`])]);
  return found;
}
