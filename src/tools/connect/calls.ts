import {
  CreateConfigurationSetCommand,
  type CreateConfigurationSetCommandInput,
  CreateConfigurationSetEventDestinationCommand,
  type CreateConfigurationSetEventDestinationCommandInput,
  DeleteConfigurationSetEventDestinationCommand,
  type DeleteConfigurationSetEventDestinationCommandInput,
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

/** Every call that changes something in AWS, by its action in a policy. */
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

/** Fanmail's own part of connecting: it accepts what the topic publishes. */
type AllowTopic = { action: "fanmail:AllowTopic"; input: { TopicArn: string; Project: string } };

/** A call as a value, so that it can be shown before it is made. */
export type Call = AwsCall | AllowTopic;

/** Makes a call. @returns the ARN or URL of what it made; null where there is none. @throws AwsCallError */
export type Perform = (call: Call) => Promise<string | null>;

/** @param allowTopic does what Fanmail itself has to do. */
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

/** What a call is about, from its parameters. */
function subjectOf(input: AwsCall["input"]): string {
  if ("SubscriptionArn" in input) return `the subscription ${input.SubscriptionArn}`;
  if ("ConfigurationSetName" in input) return `the configuration set ${input.ConfigurationSetName}`;
  if ("TopicArn" in input) return `the topic ${input.TopicArn}`;
  if ("QueueName" in input) return `the queue ${input.QueueName}`;
  if ("QueueUrl" in input) return `the queue ${input.QueueUrl}`;
  return "Name" in input ? `the topic ${input.Name}` : "it";
}
