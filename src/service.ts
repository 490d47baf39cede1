import { startWorkers } from "../workers/main.ts";
import { sqsClient } from "./aws/clients.ts";
import type { Context } from "./context.ts";
import { apiKeyHash, apiKeyPrefix } from "./domain/api-key.ts";
import { queueOf } from "./domain/arn.ts";
import { rawTokenSource } from "./domain/mail/raw-notification.ts";
import { startHealthServer, startServer } from "./http/server.ts";
import { Intake } from "./receive/intake.ts";
import { consumeQueue, type SqsConsumer } from "./receive/sqs-consumer.ts";
import { insertApiKey } from "./storage/api-keys.ts";
import { defaultProjectId } from "./storage/projects.ts";
import { insertTopic } from "./storage/topics.ts";

/** What a process does: receive notifications and answer the API, or process them, or both. */
export type Roles = { receiver: boolean; workers: boolean };

export type Service = {
  /** `http://host:port`; null without the receiver. */
  url: string | null;
  /** Of the separate server for health and metrics, in the same form; null without METRICS_PORT. */
  healthUrl: string | null;
  /** Stops accepting, finishes what was accepted, and closes the context. */
  close(): Promise<void>;
};

/** Starts the roles of a process. It owns the context from then on, and closes it when it cannot start. */
export async function startService(context: Context, roles: Roles): Promise<Service> {
  const parts: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const part of parts.toReversed()) await part.close();
    await context.close();
  };
  try {
    await registerConfigured(context);
    const { metricsPort } = context.config;
    const health = metricsPort === null ? null : await startHealthServer(context, metricsPort);
    // Closed last, so that the shutdown can be watched.
    if (health) parts.push(health);
    if (roles.workers) parts.push(startWorkers(context));
    const intake = new Intake(context);
    parts.push(intake);
    const server = roles.receiver ? await startServer(context, intake) : null;
    if (server) parts.push(server);
    // Beside the workers, so a deployment on SQS alone needs no listening port.
    if (roles.workers) parts.push(...consumeQueues(context, intake));
    return { url: server?.url ?? null, healthUrl: health?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function consumeQueues({ config, log }: Context, intake: Intake): SqsConsumer[] {
  return config.sqsQueueUrls.map((queueUrl) => {
    const { region, arn } = queueOf(queueUrl, config.awsRegion);
    const client = sqsClient({ region, endpointUrl: config.awsEndpointUrl });
    return consumeQueue({ client, queueUrl, queueArn: arn, intake, log });
  });
}

/** Topics, SQS queues, the raw token and the API key of the environment belong to the default project. */
async function registerConfigured({ config, db, clock }: Context): Promise<void> {
  // A raw notification in an SQS queue names no topic, so the queue's ARN stands for it.
  const queueArns = config.sqsQueueUrls.map((url) => queueOf(url, config.awsRegion).arn);
  const token = config.snsRawTokens.length > 0 ? [rawTokenSource] : [];
  for (const arn of [...config.topicArns, ...queueArns, ...token]) {
    await insertTopic(db, { project_id: defaultProjectId, id: clock.newId(), arn });
  }
  const key = config.bootstrapApiKey;
  if (key === null) return;
  await insertApiKey(db, {
    project_id: defaultProjectId,
    id: clock.newId(),
    name: "BOOTSTRAP_API_KEY",
    prefix: apiKeyPrefix(key),
    scopes: ["*"],
    sha256: apiKeyHash(key),
  });
}
