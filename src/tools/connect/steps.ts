import {
  CreateConfigurationSetCommand,
  type CreateConfigurationSetCommandInput,
  CreateConfigurationSetEventDestinationCommand,
  type CreateConfigurationSetEventDestinationCommandInput,
  DeleteConfigurationSetEventDestinationCommand,
  type DeleteConfigurationSetEventDestinationCommandInput,
  type EventDestination,
  UpdateConfigurationSetEventDestinationCommand,
  type UpdateConfigurationSetEventDestinationCommandInput,
} from "@aws-sdk/client-sesv2";
import {
  CreateTopicCommand,
  type CreateTopicCommandInput,
  DeleteTopicCommand,
  type DeleteTopicCommandInput,
  SetSubscriptionAttributesCommand,
  type SetSubscriptionAttributesCommandInput,
  SetTopicAttributesCommand,
  type SetTopicAttributesCommandInput,
  SubscribeCommand,
  type SubscribeCommandInput,
  UnsubscribeCommand,
  type UnsubscribeCommandInput,
} from "@aws-sdk/client-sns";
import {
  CreateQueueCommand,
  type CreateQueueCommandInput,
  SetQueueAttributesCommand,
  type SetQueueAttributesCommandInput,
} from "@aws-sdk/client-sqs";
import type { AwsClients } from "../../aws/clients.ts";
import { awsCallError } from "../../aws/failure.ts";
import type { Attributes, Reader } from "../../aws/reader.ts";
import { type AwsPlace, parseArn, topicArn } from "../../domain/arn.ts";

/** What the steps have learnt. An ARN that is not known yet is the one that AWS would give. */
export type Known = {
  topicArn: string;
  /** Whether the topic was not there before. */
  isTopicNew: boolean;
  eventDestinations: EventDestination[];
  queue: { url: string; attributes: Attributes } | null;
  deadLetterArn: string | null;
  queueUrl: string | null;
  /** null: there is none yet. */
  subscriptionArn: string | null;
};

/** A call that is left to do, and what its answer makes known. */
export type Planned = Call & { gives?: "topicArn" | "queueUrl" | "subscriptionArn" };

/** No calls: it is as it shall be. */
export type Finding = { calls: Planned[]; learnt?: Partial<Known>; notes?: string[] };

export type Step = {
  /** What it sees to: `topic ses-events`. */
  subject: string;
  /** Finds out what is left to do; changes nothing. */
  look(reader: Reader, known: Known): Promise<Finding>;
};

export type Outcome = {
  subject: string;
  outcome: "unchanged" | "planned" | "done";
  calls: Call[];
  notes: string[];
};

/**
 * Takes step after step: looks, and makes the calls that are left.
 * @param perform null: nothing is changed, and what would be made counts as made.
 * @throws AwsCallError at the first call that fails; what was done before stays done.
 */
export async function carryOut(
  steps: readonly Step[],
  start: Known,
  reader: Reader,
  perform: Perform | null,
  onOutcome: (outcome: Outcome) => void,
): Promise<Known> {
  const known = { ...start };
  for (const { subject, look } of steps) {
    const { calls, learnt, notes = [] } = await look(reader, known);
    Object.assign(known, learnt);
    if (perform !== null) await makeAll(calls, known, perform);
    const outcome = calls.length === 0 ? "unchanged" : perform === null ? "planned" : "done";
    onOutcome({ subject, outcome, calls: calls.map(({ gives: _, ...call }) => call), notes });
  }
  return known;
}

async function makeAll(calls: readonly Planned[], known: Known, perform: Perform): Promise<void> {
  for (const { gives, ...call } of calls) {
    const made = await perform(call);
    if (gives !== undefined && made !== null) known[gives] = made;
  }
}

export function nothingKnown(place: AwsPlace, topic: string): Known {
  return {
    topicArn: topicArn(place, topic),
    isTopicNew: false,
    eventDestinations: [],
    queue: null,
    deadLetterArn: null,
    queueUrl: null,
    subscriptionArn: null,
  };
}

/** Finds the topic by name, and by any topic the account. */
export async function findTopic(reader: Reader, known: Known): Promise<{ arn: string; isThere: boolean }> {
  const name = parseArn(known.topicArn).resource;
  const arns = await reader.topics();
  const arn = arns.find((one) => parseArn(one).resource === name);
  if (arn !== undefined) return { arn, isThere: true };
  const [other] = arns;
  return { arn: other === undefined ? known.topicArn : topicArn(parseArn(other), name), isThere: false };
}

/** Every call that changes something in AWS, named as a policy names it. */
type Inputs = {
  "ses:CreateConfigurationSet": CreateConfigurationSetCommandInput;
  "ses:CreateConfigurationSetEventDestination": CreateConfigurationSetEventDestinationCommandInput;
  "ses:UpdateConfigurationSetEventDestination": UpdateConfigurationSetEventDestinationCommandInput;
  "ses:DeleteConfigurationSetEventDestination": DeleteConfigurationSetEventDestinationCommandInput;
  "sns:CreateTopic": CreateTopicCommandInput;
  "sns:SetTopicAttributes": SetTopicAttributesCommandInput;
  "sns:DeleteTopic": DeleteTopicCommandInput;
  "sns:Subscribe": SubscribeCommandInput;
  "sns:SetSubscriptionAttributes": SetSubscriptionAttributesCommandInput;
  "sns:Unsubscribe": UnsubscribeCommandInput;
  "sqs:CreateQueue": CreateQueueCommandInput;
  "sqs:SetQueueAttributes": SetQueueAttributesCommandInput;
};

type AwsCall = { [Action in keyof Inputs]: { action: Action; input: Inputs[Action] } }[keyof Inputs];

/** Our own part of connecting: what the topic publishes is accepted. */
type AllowTopic = { action: "fanmail:AllowTopic"; input: { TopicArn: string; Project: string } };

/** A call as a value, so that it can be shown before it is made. */
type Call = AwsCall | AllowTopic;

/** Makes a call. @returns what it made: an ARN or a URL; null when it made nothing that has one. */
export type Perform = (call: Call) => Promise<string | null>;

/** @param allowTopic does our own part. */
export function performer(
  clients: AwsClients,
  allowTopic: (input: AllowTopic["input"]) => Promise<void>,
): Perform {
  return async (call) => {
    if (call.action === "fanmail:AllowTopic") {
      await allowTopic(call.input);
      return null;
    }
    try {
      return await send(clients, call);
    } catch (error) {
      throw awsCallError(call.action, subjectOf(call.input), error);
    }
  };
}

async function send({ ses, sns, sqs }: AwsClients, call: AwsCall): Promise<string | null> {
  switch (call.action) {
    case "sns:CreateTopic":
      return (await sns.send(new CreateTopicCommand(call.input))).TopicArn ?? null;
    case "sns:Subscribe":
      return (await sns.send(new SubscribeCommand(call.input))).SubscriptionArn ?? null;
    case "sqs:CreateQueue":
      return (await sqs.send(new CreateQueueCommand(call.input))).QueueUrl ?? null;
    case "sns:SetTopicAttributes":
      await sns.send(new SetTopicAttributesCommand(call.input));
      return null;
    case "sns:DeleteTopic":
      await sns.send(new DeleteTopicCommand(call.input));
      return null;
    case "sns:SetSubscriptionAttributes":
      await sns.send(new SetSubscriptionAttributesCommand(call.input));
      return null;
    case "sns:Unsubscribe":
      await sns.send(new UnsubscribeCommand(call.input));
      return null;
    case "sqs:SetQueueAttributes":
      await sqs.send(new SetQueueAttributesCommand(call.input));
      return null;
    case "ses:CreateConfigurationSet":
      await ses.send(new CreateConfigurationSetCommand(call.input));
      return null;
    case "ses:CreateConfigurationSetEventDestination":
      await ses.send(new CreateConfigurationSetEventDestinationCommand(call.input));
      return null;
    case "ses:UpdateConfigurationSetEventDestination":
      await ses.send(new UpdateConfigurationSetEventDestinationCommand(call.input));
      return null;
    case "ses:DeleteConfigurationSetEventDestination":
      await ses.send(new DeleteConfigurationSetEventDestinationCommand(call.input));
      return null;
    default:
      throw new Error(`unreachable: ${call satisfies never}`);
  }
}

/** What a call is about, in the words of its parameters. */
function subjectOf(input: AwsCall["input"]): string {
  if ("SubscriptionArn" in input) return `the subscription ${input.SubscriptionArn}`;
  if ("ConfigurationSetName" in input) return `the configuration set ${input.ConfigurationSetName}`;
  if ("TopicArn" in input) return `the topic ${input.TopicArn}`;
  if ("QueueName" in input) return `the queue ${input.QueueName}`;
  if ("QueueUrl" in input) return `the queue ${input.QueueUrl}`;
  return "Name" in input ? `the topic ${input.Name}` : "it";
}
