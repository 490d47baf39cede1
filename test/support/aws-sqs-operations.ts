import { ApiError, type AwsState, arnOf, type Operation } from "./aws-state.ts";

type Attributes = Record<string, string>;

export const sqsOperations: Record<string, Operation> = {
  "sqs:GetQueueUrl": (state, { QueueName }) => {
    if (!state.queues.has(String(QueueName))) throw missing();
    return { QueueUrl: urlOf(state, String(QueueName)) };
  },
  "sqs:CreateQueue": (state, { QueueName, Attributes = {}, tags = {} }) => {
    if (state.queues.has(String(QueueName)))
      throw new ApiError(400, "QueueNameExists", "A queue already exists with the same name.");
    const attributes = {
      VisibilityTimeout: "30",
      MessageRetentionPeriod: "345600",
      ...(Attributes as Attributes),
    };
    checkRedrive(state, attributes);
    state.queues.set(String(QueueName), { attributes, tags: tags as Attributes });
    return { QueueUrl: urlOf(state, String(QueueName)) };
  },
  "sqs:GetQueueAttributes": (state, { QueueUrl }) => {
    const [name, queue] = queueAt(state, QueueUrl);
    const arn = arnOf(state, "sqs", name);
    return { Attributes: { ...queue.attributes, QueueArn: arn } };
  },
  "sqs:SetQueueAttributes": (state, { QueueUrl, Attributes }) => {
    const [, queue] = queueAt(state, QueueUrl);
    checkRedrive(state, Attributes as Attributes);
    Object.assign(queue.attributes, Attributes);
    return {};
  },
};

function urlOf({ endpoint, account }: AwsState, name: string): string {
  return `${endpoint}/${account}/${name}`;
}

function queueAt(state: AwsState, url: unknown) {
  const name = String(url).split("/").at(-1) ?? "";
  const queue = state.queues.get(name);
  if (!queue) throw missing();
  return [name, queue] as const;
}

function missing(): ApiError {
  return new ApiError(400, "QueueDoesNotExist", "The specified queue does not exist.");
}

function checkRedrive(state: AwsState, { RedrivePolicy }: Attributes): void {
  if (RedrivePolicy === undefined) return;
  const { deadLetterTargetArn } = JSON.parse(RedrivePolicy);
  if (state.queues.has(deadLetterTargetArn.split(":").at(-1))) return;
  throw new ApiError(400, "InvalidParameterValue", "The dead-letter queue does not exist.");
}
