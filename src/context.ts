import type { Dispatcher } from "undici";
import { type Clock, systemClock, unlessStopped } from "./clock.ts";
import type { Config } from "./config.ts";
import { readEncryptionKeys } from "./data-dir.ts";
import { postLimit } from "./descriptors.ts";
import { createLogger, errorText, type Logger, sparseWarning } from "./logger.ts";
import type { Metrics } from "./metrics.ts";
import { noMetrics } from "./no-metrics.ts";
import { migrationsDirectory } from "./package-info.ts";
import { chooseBackend, type LazyQueues, lazyQueues, openQueues } from "./queue/queues.ts";
import { type AwsDispatcher, awsConnections } from "./receive/aws-documents.ts";
import { forgetSessionVariables } from "./storage/connection.ts";
import { awaitServer, connectionsOfProcess, type DatabasePool, openDatabase } from "./storage/database.ts";
import { hasSchema, migrate } from "./storage/migrate.ts";
import { type Partitions, partitionsOf } from "./storage/partitions.ts";
import { noTracing, type Tracing } from "./tracing/tracing.ts";
import { type AddressGuard, createAddressGuard } from "./webhooks/address-guard.ts";
import { type WebhookConnections, webhookConnections } from "./webhooks/connections.ts";
import type { ResolveHost } from "./webhooks/resolve-host.ts";
import { createSecretBox, type SecretBox } from "./webhooks/secret-box.ts";
import { createSocketRoom } from "./webhooks/socket-room.ts";

/** For commands that read or change stored data. */
export type StoreContext = {
  config: Config;
  log: Logger;
  clock: Clock;
  db: DatabasePool;
  /** The URL of `db`. */
  databaseUrl: string;
  partitions: Partitions;
  secretBox: SecretBox;
  /** Which addresses webhooks may be posted to. */
  addressGuard: AddressGuard;
  /** The migrations that were applied while opening. */
  migrated: string[];
  close(): Promise<void>;
};

/** For the service. */
export type Context = StoreContext & {
  queues: LazyQueues;
  metrics: Metrics;
  tracing: Tracing;
  /** Reaches AWS: certificates, confirmations. */
  awsDispatcher: AwsDispatcher;
  /** Reaches webhook endpoints. */
  webhookConnections: WebhookConnections;
};

export type ContextOptions = {
  /** Use the embedded Postgres of a running service, rather than insisting on owning it. */
  attach?: boolean;
  /** Aborts the opening; has no effect afterwards. */
  stop?: AbortSignal;
  /** Use a database that the service has used before, rather than creating one. */
  mustExist?: boolean;
  /** Called when there is nothing to do but to wait for the database; not if the embedded one runs already. */
  whileOpening?: () => void;
  /** Called with the database's name, without its password, before it is opened. */
  onDatabase?: (name: string) => void;
  clock?: Clock;
  /** Whether anybody can read what the process counts; true by default. */
  isMeasured?: boolean;
  awsDispatcher?: Dispatcher;
  /** Resolves the hosts of webhook endpoints; by default as the machine does. */
  resolveHost?: ResolveHost;
};

/** While its server is away BullMQ reports the same error a thousand times a second. */
const queueWarningEveryMs = 1_000;

/** There is no database yet, or it is empty. */
export class NoDatabaseError extends Error {
  override readonly name = "NoDatabaseError";
}

/**
 * Opens the database, starting the embedded one where none is configured, and brings its schema up to date.
 * @throws NoDatabaseError when it must exist, and does not.
 */
export async function openStore(config: Config, options: ContextOptions = {}): Promise<StoreContext> {
  const log = createLogger(config.logLevel);
  forgetSessionVariables();
  const server = await databaseServer(config, log, options);
  const db = openDatabase(server.url, {
    maxConnections: connectionsOfProcess,
    preparesStatements: config.preparedStatements === "on",
    onIdleError: (error) => log.warn({ cause: errorText(error) }, "database connection lost"),
  });
  const close = async () => {
    await db.close();
    await server.stop();
  };
  try {
    await unlessStopped(awaitServer(db), options.stop);
    if (options.mustExist && !(await hasSchema(db)))
      throw new NoDatabaseError(`the database is empty (${databaseName(config)})`);
    const migrated = await unlessStopped(migrate(db, migrationsDirectory), options.stop);
    return {
      config,
      log,
      clock: options.clock ?? systemClock,
      db,
      databaseUrl: server.url,
      partitions: partitionsOf(db),
      secretBox: createSecretBox(await encryptionKeys(config)),
      addressGuard: createAddressGuard({
        allowedCidrs: config.webhookAllowedCidrs,
        resolveHost: options.resolveHost,
      }),
      migrated,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Opens everything that the service uses; the queues on first use. `close` lets running jobs finish, then disconnects. */
export async function openContext(config: Config, options: ContextOptions = {}): Promise<Context> {
  const store = await openStore(config, options);
  const tracing = await openTracing(config, store.log);
  try {
    const warn = sparseWarning(store.log, "queue", queueWarningEveryMs);
    let isClosing = false;
    const onError = (error: Error) => {
      if (!isClosing) warn(error);
    };
    const open = async () =>
      openQueues(await chooseBackend(config.redisUrls), {
        database: { url: store.databaseUrl, db: store.db },
        onError,
        isTraced: tracing.isOn,
      });
    const queues = lazyQueues(() => unlessStopped(open(), options.stop));
    const aws = awsConnections();
    const { awsDispatcher } = options;
    const room = createSocketRoom(postLimit());
    const customers = webhookConnections(store.addressGuard, room);
    return {
      ...store,
      queues,
      metrics: await openMetrics(options),
      tracing,
      awsDispatcher: awsDispatcher ? async () => awsDispatcher : aws.dispatcher,
      webhookConnections: customers,
      async close() {
        // Connection errors are expected while closing; don't log them.
        isClosing = true;
        await queues.close();
        customers.destroy();
        await Promise.all([aws.destroy(), tracing.close()]);
        await store.close();
      },
    };
  } catch (error) {
    await tracing.close();
    await store.close();
    throw error;
  }
}

async function openMetrics({ isMeasured = true }: ContextOptions): Promise<Metrics> {
  if (!isMeasured) return noMetrics;
  // Takes longer to load than most commands to run, and they do without it.
  const { createMetrics } = await import("./metrics.ts");
  return createMetrics();
}

/** Without a collector OpenTelemetry is not even loaded. */
async function openTracing({ otlpEndpoint }: Config, log: Logger): Promise<Tracing> {
  if (otlpEndpoint === null) return noTracing;
  const { startTracing } = await import("./tracing/provider.ts");
  return startTracing(otlpEndpoint, log);
}

type Server = { url: string; stop(): Promise<void> };

async function databaseServer(config: Config, log: Logger, options: ContextOptions): Promise<Server> {
  const { databaseUrl } = config;
  if (databaseUrl === null) return embeddedServer(config, log, options);
  options.onDatabase?.(databaseName(config));
  options.whileOpening?.();
  return { url: databaseUrl, stop: async () => {} };
}

async function embeddedServer(config: Config, log: Logger, options: ContextOptions): Promise<Server> {
  const { dataDir } = config;
  const { attachEmbeddedPostgres, isDatabaseIn, startEmbeddedPostgres } = await import(
    "./embedded/embedded-postgres.ts"
  );
  if (options.mustExist && !(await isDatabaseIn(dataDir)))
    throw new NoDatabaseError(`there is no database in ${dataDir}, and DATABASE_URL is not set`);
  options.onDatabase?.(databaseName(config));
  const start = options.attach ? attachEmbeddedPostgres : startEmbeddedPostgres;
  return start({
    dataDir,
    log: (line) => log.warn({}, line),
    onSpawn: options.whileOpening,
    signal: options.stop,
  });
}

/** Names the database of a configuration for people, without password and settings. */
export function databaseName({ databaseUrl, dataDir }: Config): string {
  if (databaseUrl === null) return `embedded, in ${dataDir}`;
  const { protocol, username, host, pathname } = new URL(databaseUrl);
  return `${protocol}//${username}${username && "@"}${host}${pathname}`;
}

/** The first one encrypts. */
async function encryptionKeys(config: Config): Promise<Buffer[]> {
  const { encryptionKey, encryptionKeysPrevious, dataDir } = config;
  return encryptionKey === null ? readEncryptionKeys(dataDir) : [encryptionKey, ...encryptionKeysPrevious];
}
