import type { Config } from "./config.ts";
import type { Context } from "./context.ts";
import { apiKeyHash, apiKeyPrefix } from "./domain/api-key.ts";
import { queueOf } from "./domain/arn.ts";
import { rawTokenSource } from "./domain/mail/raw-notification.ts";
import type { HttpServer } from "./http/server.ts";
import { chooseBackend } from "./queue/queues.ts";
import type { Intake } from "./receive/intake.ts";
import { insertApiKey } from "./storage/api-keys.ts";
import { defaultProjectId } from "./storage/projects.ts";
import { insertTopic } from "./storage/topics.ts";

/** What a process does: receive notifications and answer the API, or process them, or both. */
export type Roles = { receiver: boolean; workers: boolean };

type Part = { close(): Promise<void> };

/** Where a process can be reached. */
export type Addresses = {
  /** `http://host:port`; null without the receiver. */
  url: string | null;
  /** Of the separate server for health and metrics, in the same form; null without METRICS_PORT. */
  healthUrl: string | null;
};

export type Service = Addresses & {
  /** Stops accepting, finishes what was accepted, and closes the context. */
  close(): Promise<void>;
};

/**
 * Begins to load what `startService` will load, so that this happens while the database is being opened. A failure is left
 * to `startService`, which meets it again.
 */
export function preload({ redisUrls }: Config, { receiver, workers }: Roles): void {
  // What a worker alone needs besides can be loaded after it has begun to work.
  if (!receiver) return void import("../workers/apply-first.ts").catch(() => {});
  void Promise.allSettled([
    chooseBackend(redisUrls),
    import("./http/api-server.ts"),
    import("./receive/intake.ts"),
    workers && import("../workers/main.ts"),
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
    if (!roles.receiver) await applyFirst(context);
    const health = await startHealth(context);
    // Closed last, so that the shutdown can be watched.
    if (health) parts.push(health);
    await context.queues.open();
    if (roles.workers) parts.push(await work(context));
    const url = await takeIn(context, roles, parts);
    return { url, healthUrl: health?.url ?? null, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** @returns null without METRICS_PORT. */
async function startHealth(context: Context): Promise<HttpServer | null> {
  const { metricsPort } = context.config;
  if (metricsPort === null) return null;
  const { startHealthServer } = await import("./http/health-server.ts");
  return startHealthServer(context, metricsPort);
}

/** To load and open everything else takes longer than to apply what waits, so a worker alone does that first. */
async function applyFirst(context: Context): Promise<void> {
  const { applyFirst: apply } = await import("../workers/apply-first.ts");
  await apply(context);
}

async function work(context: Context): Promise<Part> {
  const { startWorkers } = await import("../workers/main.ts");
  return startWorkers(context);
}

/**
 * Starts what takes in notifications, and adds it to `parts`.
 * @returns the URL of the receiver, if there is one.
 */
async function takeIn(context: Context, roles: Roles, parts: Part[]): Promise<string | null> {
  // Beside the workers, so a deployment on SQS alone needs no listening port.
  const isConsumer = roles.workers && context.config.sqsQueueUrls.length > 0;
  if (!roles.receiver && !isConsumer) return null;
  const { Intake } = await import("./receive/intake.ts");
  const intake = new Intake(context);
  parts.push(intake);
  const server = roles.receiver ? await receive(context, intake) : null;
  if (server) parts.push(server);
  if (isConsumer) parts.push(...(await consumeQueues(context, intake)));
  return server?.url ?? null;
}

async function receive(context: Context, intake: Intake): Promise<HttpServer> {
  const { startServer } = await import("./http/api-server.ts");
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
