import { z } from "zod";
import { type AwsPlace, configurationSetArn, queueArn, topicArn } from "../domain/arn.ts";
import { canonicalJson } from "../domain/json.ts";
import { deadLetterName, type SesConnection } from "./ses-connection.ts";

const Statement = z.looseObject({ Sid: z.string().optional() });
const Policy = z.looseObject({
  Statement: z.union([z.array(Statement), Statement.transform((one) => [one])]).default([]),
});

export type Statement = z.infer<typeof Statement>;
export type Policy = z.infer<typeof Policy>;

const publisherPrefix = "fanmail-ses-";

/**
 * SES may publish to the topic, only for this configuration set of this account: without the conditions SES would publish
 * for any account that names the topic.
 */
export function publisherStatement(topic: string, place: AwsPlace, configurationSet: string): Statement {
  return {
    Sid: `${publisherPrefix}${configurationSet}`,
    Effect: "Allow",
    Principal: { Service: "ses.amazonaws.com" },
    Action: "sns:Publish",
    Resource: topic,
    Condition: {
      StringEquals: {
        "AWS:SourceAccount": place.account,
        "AWS:SourceArn": configurationSetArn(place, configurationSet),
      },
    },
  };
}

/** The configuration sets that a topic's policy lets publish for Fanmail. */
export function publishingSets(policy: Policy): string[] {
  return policy.Statement.flatMap(({ Sid }) =>
    Sid?.startsWith(publisherPrefix) ? [Sid.slice(publisherPrefix.length)] : [],
  );
}

/** SNS may send what is published to this topic to the queue. */
export function queueStatement(queue: string, topic: string, topicName: string): Statement {
  return {
    Sid: `fanmail-sns-${topicName}`,
    Effect: "Allow",
    Principal: { Service: "sns.amazonaws.com" },
    Action: "sqs:SendMessage",
    Resource: queue,
    Condition: { ArnEquals: { "aws:SourceArn": topic } },
  };
}

export function policyOf(...statements: Statement[]): Policy {
  return { Version: "2012-10-17", Statement: statements };
}

/** @throws Error when the text is not a policy. */
export function readPolicy(text: string | undefined): Policy {
  if (text === undefined || text === "") return policyOf();
  try {
    return Policy.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error("The policy that is there cannot be read", { cause });
  }
}

/**
 * Adds a statement, or replaces the one with its Sid; keeps all others.
 * @returns null when the policy already has it.
 */
export function withStatement(policy: Policy, statement: Statement): Policy | null {
  const present = policy.Statement.find(({ Sid }) => Sid === statement.Sid);
  if (present && canonicalStatement(present) === canonicalStatement(statement)) return null;
  if (!present) return { ...policy, Statement: [...policy.Statement, statement] };
  return { ...policy, Statement: policy.Statement.map((one) => (one === present ? statement : one)) };
}

/** @returns null when there is no such statement. */
export function withoutStatement(policy: Policy, sid: string | undefined): Policy | null {
  const rest = policy.Statement.filter(({ Sid }) => Sid !== sid);
  return rest.length === policy.Statement.length ? null : { ...policy, Statement: rest };
}

/** AWS may rewrite a policy: one value instead of a list of one, and names in another case. */
function canonicalStatement({ Action, Condition, ...rest }: Statement): string {
  const action = plain(Action, false);
  return canonicalJson([
    plain(rest, false),
    typeof action === "string" ? action.toLowerCase() : action,
    plain(Condition, true),
  ]);
}

function plain(value: unknown, lowersKeys: boolean): unknown {
  if (Array.isArray(value)) return value.length === 1 ? plain(value[0], lowersKeys) : value;
  if (value === null || typeof value !== "object") return value;
  const entries = Object.entries(value).map(([key, part]) => [
    lowersKeys ? key.toLowerCase() : key,
    plain(part, lowersKeys),
  ]);
  return Object.fromEntries(entries);
}

/** The least privileges that `fanmail ses connect` needs. Calls that AWS cannot scope have the resource `*`. */
export function connectingPolicy(connection: SesConnection, place: AwsPlace): Policy {
  const { target, topic, configurationSet, createsConfigurationSet } = connection;
  return policyOf(
    unscoped(
      "ses:ListConfigurationSets",
      "sns:ListTopics",
      "sns:GetSubscriptionAttributes",
      "sns:SetSubscriptionAttributes",
    ),
    {
      Sid: "FanmailConfigurationSet",
      Effect: "Allow",
      Action: [
        ...(createsConfigurationSet ? ["ses:CreateConfigurationSet", "ses:TagResource"] : []),
        "ses:GetConfigurationSetEventDestinations",
        "ses:CreateConfigurationSetEventDestination",
        "ses:UpdateConfigurationSetEventDestination",
      ],
      Resource: configurationSetArn(place, configurationSet),
    },
    {
      Sid: "FanmailTopic",
      Effect: "Allow",
      Action: [
        "sns:CreateTopic",
        "sns:TagResource",
        "sns:GetTopicAttributes",
        "sns:SetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:Subscribe",
      ],
      Resource: topicArn(place, topic),
    },
    ...(target?.kind === "queue" ? [queueMaker(target.name, place)] : []),
  );
}

/** The least privileges that `fanmail ses disconnect` needs. */
export function disconnectingPolicy(
  { topic, configurationSet }: SesConnection,
  place: AwsPlace,
  deletesTopic: boolean,
): Policy {
  return policyOf(
    unscoped("sns:ListTopics", "sns:Unsubscribe"),
    {
      Sid: "FanmailConfigurationSet",
      Effect: "Allow",
      Action: ["ses:GetConfigurationSetEventDestinations", "ses:DeleteConfigurationSetEventDestination"],
      Resource: configurationSetArn(place, configurationSet),
    },
    {
      Sid: "FanmailTopic",
      Effect: "Allow",
      Action: [
        "sns:GetTopicAttributes",
        "sns:SetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        ...(deletesTopic ? ["sns:DeleteTopic"] : []),
      ],
      Resource: topicArn(place, topic),
    },
  );
}

function unscoped(...actions: string[]): Statement {
  return { Sid: "FanmailUnscoped", Effect: "Allow", Action: actions, Resource: "*" };
}

function queueMaker(queue: string, place: AwsPlace): Statement {
  return {
    Sid: "FanmailQueue",
    Effect: "Allow",
    Action: [
      "sqs:CreateQueue",
      "sqs:TagQueue",
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:SetQueueAttributes",
    ],
    Resource: [queueArn(place, queue), queueArn(place, deadLetterName(queue))],
  };
}
