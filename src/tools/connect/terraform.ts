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
import { block, encoded, reference } from "./hcl.ts";

const topicArn = "aws_sns_topic.fanmail.arn";
const queueArn = "aws_sqs_queue.fanmail.arn";
/** The account and region, which are known when the topic is: they are parts of its ARN. */
const place = {
  partition: reference("data.aws_arn.fanmail.partition"),
  region: reference("data.aws_arn.fanmail.region"),
  account: reference("data.aws_arn.fanmail.account"),
};
const tags = { expression: `{ ${managedTag.key} = "${managedTag.value}" }` };

/** What `fanmail ses connect` makes, for Terraform's provider `hashicorp/aws`. */
export function terraform(connection: SesConnection): string {
  const { target, topic } = connection;
  const blocks = [
    `# Before it is applied: npx fanmail topics add arn:<partition>:sns:<region>:<account>:${topic}`,
    ...configurationSet(connection),
    ...topicBlocks(connection),
    eventDestination(connection),
    ...(target?.kind === "queue" ? queueBlocks(target.name, topic) : []),
    ...(target === null ? [] : [subscription(target)]),
    block('output "topic_arn"', { value: { expression: topicArn } }),
    ...(target?.kind === "queue"
      ? [block('output "sqs_queue_urls"', { value: { expression: "aws_sqs_queue.fanmail.url" } })]
      : []),
  ];
  return blocks.join("\n\n");
}

function configurationSet({ configurationSet: name, createsConfigurationSet }: SesConnection): string[] {
  if (!createsConfigurationSet) return [];
  return [block('resource "aws_sesv2_configuration_set" "fanmail"', { configuration_set_name: name, tags })];
}

function topicBlocks({ topic, configurationSet: name }: SesConnection): string[] {
  const arn = { expression: topicArn };
  return [
    block('resource "aws_sns_topic" "fanmail"', { name: topic, signature_version: 2, tags }),
    block('data "aws_arn" "fanmail"', { arn }),
    block('resource "aws_sns_topic_policy" "fanmail"', {
      arn,
      policy: encoded(policyOf(publisherStatement(reference(topicArn), place, name))),
    }),
  ];
}

function eventDestination({ configurationSet: name, createsConfigurationSet }: SesConnection): string {
  const made = { expression: "aws_sesv2_configuration_set.fanmail.configuration_set_name" };
  return block('resource "aws_sesv2_configuration_set_event_destination" "fanmail"', {
    configuration_set_name: createsConfigurationSet ? made : name,
    event_destination_name: eventDestinationName,
    event_destination: {
      block: {
        enabled: true,
        matching_event_types: sesEventTypes,
        sns_destination: { block: { topic_arn: { expression: topicArn } } },
      },
    },
    // SES tries the topic when the destination is made.
    depends_on: { expression: "[aws_sns_topic_policy.fanmail]" },
  });
}

function queueBlocks(queue: string, topic: string): string[] {
  return [
    block('resource "aws_sqs_queue" "fanmail_dead"', {
      name: deadLetterName(queue),
      message_retention_seconds: queueRetentionSeconds,
      tags,
    }),
    block('resource "aws_sqs_queue" "fanmail"', {
      name: queue,
      visibility_timeout_seconds: queueVisibilitySeconds,
      message_retention_seconds: queueRetentionSeconds,
      redrive_policy: encoded({
        deadLetterTargetArn: reference("aws_sqs_queue.fanmail_dead.arn"),
        maxReceiveCount: queueMaxReceives,
      }),
      tags,
    }),
    block('resource "aws_sqs_queue_policy" "fanmail"', {
      queue_url: { expression: "aws_sqs_queue.fanmail.url" },
      policy: encoded(policyOf(queueStatement(reference(queueArn), reference(topicArn), topic))),
    }),
  ];
}

function subscription(target: Target): string {
  const head = 'resource "aws_sns_topic_subscription" "fanmail"';
  const topic = { topic_arn: { expression: topicArn } };
  if (target.kind === "https") {
    return block(head, {
      ...topic,
      protocol: "https",
      endpoint: target.url,
      endpoint_auto_confirms: true,
      raw_message_delivery: false,
    });
  }
  return block(head, {
    ...topic,
    protocol: "sqs",
    endpoint: { expression: queueArn },
    raw_message_delivery: false,
    depends_on: { expression: "[aws_sqs_queue_policy.fanmail]" },
  });
}
