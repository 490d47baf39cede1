import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { apiKeyHash, apiKeyPrefix } from "./domain/api-key.ts";
import { queueOf } from "./domain/arn.ts";
import { rawTokenSource } from "./domain/mail/raw-notification.ts";
import type { HttpServer } from "./http/server.ts";
import type { Intake } from "./receive/intake.ts";
import { insertApiKey } from "./storage/api-keys.ts";
import { defaultProjectId } from "./storage/projects.ts";
import { insertTopic } from "./storage/topics.ts";

/** What a process does: receive notifications and answer the API, or process them, or both. */
export type Roles = { receiver: boolean; workers: boolean };

type Part = { close(): Promise<void> };

export type Service = {
  /** `http://host:port`; null without the receiver. */
  url: string | null;
  /** Of the separate server for health and metrics, in the same form; null without METRICS_PORT. */
  healthUrl: string | null;
  /** Stops accepting, finishes what was accepted, and closes the context. */
  close(): Promise<void>;
};

/**
 * Begins to load what `startService` will load, so that this happens while the database is being opened. A failure is left
 * to `startService`, which meets it again.
 */
export function preload({ metricsPort }: Config, { receiver, workers }: Roles): void {
  void Promise.allSettled([
    workers && import("../workers/main.ts"),
    (receiver || metricsPort !== null) && import("./http/server.ts"),
    receiver && import("./receive/intake.ts"),
  ]);
}

/** Starts the roles of a process, and loads no more than they need. It owns the context from then on, and closes it when it cannot start. */
export async function startService(context: Context, roles: Roles): Promise<Service> {
  const parts: Part[] = [];
  const close = async () => {
    for (const part of parts.toReversed()) await part.close();
    await context.close();
  };
  try {
    await registerConfigured(context);
    const { metricsPort, sqsQueueUrls } = context.config;
    const health = metricsPort === null ? null : await startHealth(context, metricsPort);
    // Closed last, so that the shutdown can be watched.
    if (health) parts.push(health);
    if (roles.workers) parts.push(await work(context));
    // Beside the workers, so a deployment on SQS alone needs no listening port.
    const isConsumer = roles.workers && sqsQueueUrls.length > 0;
    const intake = roles.receiver || isConsumer ? await openIntake(context) : null;
    if (intake) parts.push(intake);
    const server = roles.receiver && intake ? await receive(context, intake) : null;
    if (server) parts.push(server);
    if (isConsumer && intake) parts.push(...(await consumeQueues(context, intake)));
    return { url: server?.url ?? null, healthUrl: health?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startHealth(context: Context, port: number): Promise<HttpServer> {
  const { startHealthServer } = await import("./http/server.ts");
  return startHealthServer(context, port);
}

async function work(context: Context): Promise<Part> {
  const { startWorkers } = await import("../workers/main.ts");
  return startWorkers(context);
}

async function openIntake(context: Context): Promise<Intake> {
  const { Intake } = await import("./receive/intake.ts");
  return new Intake(context);
}

async function receive(context: Context, intake: Intake): Promise<HttpServer> {
  const { startServer } = await import("./http/server.ts");
  return startServer(context, intake);
}

async function consumeQueues({ config, log }: Context, intake: Intake): Promise<Part[]> {
  const { sqsClient } = await import("./aws/clients.ts");
  const { consumeQueue } = await import("./receive/sqs-consumer.ts");
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
