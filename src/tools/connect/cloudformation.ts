import { Document, Scalar, visit } from "yaml";
import { policyOf, publisherStatement, queueStatement } from "../../aws/policies.ts";
import {
  deadLetterName,
  eventDestinationName,
  managedTag,
  queueMaxReceives,
  queueRetentionSeconds,
  queueVisibilitySeconds,
  type SesConnection,
  sesEventTypes,
  type Target,
} from "../../aws/ses-connection.ts";

const topicArn = reference("FanmailTopic");
const queueArn = reference("FanmailQueue.Arn");
const place = {
  partition: reference("AWS::Partition"),
  region: reference("AWS::Region"),
  account: reference("AWS::AccountId"),
};
const Tags = [{ Key: managedTag.key, Value: managedTag.value }];

/** The resources that `fanmail ses connect` makes, as a CloudFormation template. */
export function cloudFormation(connection: SesConnection): string {
  const { configurationSet, topic, target } = connection;
  const isQueue = target?.kind === "queue";
  const template = {
    AWSTemplateFormatVersion: "2010-09-09",
    Description: `Events of the SES configuration set ${configurationSet} for Fanmail`,
    Resources: {
      ...configurationSetResource(connection),
      ...topicResources(connection),
      FanmailEventDestination: eventDestination(connection),
      ...(isQueue && queueResources(target.name, topic)),
      ...(target && { FanmailSubscription: subscription(target) }),
    },
    Outputs: {
      TopicArn: { Value: topicArn },
      ...(isQueue && { SqsQueueUrls: { Value: reference("FanmailQueue") } }),
    },
  };
  // CloudFormation reads YAML 1.1, in which 2012-10-17 is a date unless it is quoted, and takes no aliases.
  const document = new Document(template, { schema: "yaml-1.1", aliasDuplicateObjects: false });
  document.commentBefore = ` Before it is deployed: npx fanmail topics add arn:<partition>:sns:<region>:<account>:${topic}`;
  return withFunctions(document).toString({ lineWidth: 0 });
}

/** A reference to a resource, its attribute or a pseudo parameter; `withFunctions` replaces it. */
function reference(to: string): string {
  return `\${${to}}`;
}

/** Replaces texts with references by CloudFormation's functions. */
function withFunctions(document: Document): Document {
  visit(document, {
    Scalar(key, node) {
      if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
      // A replacement is visited too.
      if (node.tag?.startsWith("!")) return;
      const [, name] = /^\$\{([A-Za-z0-9:.]+)\}$/.exec(node.value) ?? [];
      const scalar = new Scalar(name ?? node.value);
      scalar.tag = name === undefined ? "!Sub" : name.includes(".") ? "!GetAtt" : "!Ref";
      return scalar;
    },
  });
  return document;
}

function configurationSetResource({ configurationSet: Name, createsConfigurationSet }: SesConnection) {
  if (!createsConfigurationSet) return {};
  return { FanmailConfigurationSet: { Type: "AWS::SES::ConfigurationSet", Properties: { Name } } };
}

function topicResources({ topic, configurationSet }: SesConnection) {
  return {
    FanmailTopic: {
      Type: "AWS::SNS::Topic",
      Properties: { TopicName: topic, SignatureVersion: "2", Tags },
    },
    FanmailTopicPolicy: {
      Type: "AWS::SNS::TopicPolicy",
      Properties: {
        Topics: [topicArn],
        PolicyDocument: policyOf(publisherStatement(topicArn, place, configurationSet)),
      },
    },
  };
}

function eventDestination({ configurationSet, createsConfigurationSet }: SesConnection) {
  return {
    Type: "AWS::SES::ConfigurationSetEventDestination",
    // SES tries the topic when the destination is made.
    DependsOn: "FanmailTopicPolicy",
    Properties: {
      ConfigurationSetName: createsConfigurationSet ? reference("FanmailConfigurationSet") : configurationSet,
      EventDestination: {
        Name: eventDestinationName,
        Enabled: true,
        MatchingEventTypes: sesEventTypes.map(templateName),
        SnsDestination: { TopicARN: topicArn },
      },
    },
  };
}

/** CloudFormation calls RENDERING_FAILURE renderingFailure. */
function templateName(eventType: string): string {
  return eventType.toLowerCase().replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase());
}

function queueResources(queue: string, topic: string) {
  return {
    FanmailDeadLetterQueue: {
      Type: "AWS::SQS::Queue",
      Properties: {
        QueueName: deadLetterName(queue),
        MessageRetentionPeriod: queueRetentionSeconds,
        Tags,
      },
    },
    FanmailQueue: {
      Type: "AWS::SQS::Queue",
      Properties: {
        QueueName: queue,
        VisibilityTimeout: queueVisibilitySeconds,
        MessageRetentionPeriod: queueRetentionSeconds,
        RedrivePolicy: {
          deadLetterTargetArn: reference("FanmailDeadLetterQueue.Arn"),
          maxReceiveCount: queueMaxReceives,
        },
        Tags,
      },
    },
    FanmailQueuePolicy: {
      Type: "AWS::SQS::QueuePolicy",
      Properties: {
        Queues: [reference("FanmailQueue")],
        PolicyDocument: policyOf(queueStatement(queueArn, topicArn, topic)),
      },
    },
  };
}

function subscription(target: Target) {
  const isQueue = target.kind === "queue";
  return {
    Type: "AWS::SNS::Subscription",
    ...(isQueue && { DependsOn: "FanmailQueuePolicy" }),
    Properties: {
      TopicArn: topicArn,
      Protocol: isQueue ? "sqs" : "https",
      Endpoint: isQueue ? queueArn : target.url,
      RawMessageDelivery: false,
    },
  };
}
