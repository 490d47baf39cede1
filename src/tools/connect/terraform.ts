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

const topicArn = "aws_sns_topic.fanmail.arn";
const queueArn = "aws_sqs_queue.fanmail.arn";
/** Account and region are parts of the topic's ARN. */
const place = {
  partition: reference("data.aws_arn.fanmail.partition"),
  region: reference("data.aws_arn.fanmail.region"),
  account: reference("data.aws_arn.fanmail.account"),
};
const tags = { expression: `{ ${managedTag.key} = "${managedTag.value}" }` };

/** The resources that `fanmail ses connect` makes, for Terraform's provider `hashicorp/aws`. */
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

/** An expression of Terraform, as opposed to a text. */
type Expression = { expression: string };
type Scalar = string | number | boolean | Expression | readonly string[];
type Arguments = { [name: string]: Scalar | { block: Arguments } };

/**
 * A block of Terraform's language.
 * @param head `resource "aws_sns_topic" "fanmail"`.
 */
function block(head: string, body: Arguments, indent = ""): string {
  const inner = `${indent}  `;
  const lines = Object.entries(body).map(([name, value]) =>
    isBlock(value) ? block(name, value.block, inner) : `${inner}${name} = ${scalar(value, inner)}`,
  );
  return [`${indent}${head} {`, ...lines, `${indent}}`].join("\n");
}

/** A reference inside a value for `encoded`. */
function reference(to: string): string {
  return `\${${to}}`;
}

/** A value as JSON text. Only its references may contain `${` or `%{`. */
function encoded(value: unknown): Expression {
  // JSON is an expression of Terraform too.
  return { expression: `jsonencode(${JSON.stringify(value, null, 2).replaceAll("\n", "\n  ")})` };
}

function isBlock(value: Arguments[string]): value is { block: Arguments } {
  return typeof value === "object" && "block" in value;
}

function scalar(value: Scalar, indent: string): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if ("expression" in value) return value.expression;
  return `[\n${value.map((one) => `${indent}  ${quoted(one)},\n`).join("")}${indent}]`;
}

function quoted(text: string): string {
  return JSON.stringify(text).replaceAll(/[$%](?=\{)/g, "$&$&");
}
