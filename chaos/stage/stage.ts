import { randomBytes } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeSigner, type Signer, topicArn } from "../../bench/corpus/sign.ts";
import { apiKey } from "../../src/domain/api-key.ts";
import { packageRoot } from "../../src/package-info.ts";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { type ChaosPostgres, startPostgres } from "./postgres.ts";
import { type ChaosQueue, type QueueKind, startQueue } from "./queue.ts";
import { openRelay, type Relay } from "./relay.ts";
import { type Role, SupervisedService } from "./service.ts";
import { mountVolume, type Volume } from "./volume.ts";
import { startWatchdog, type Watchdog } from "./watchdog.ts";

/** Everything that takes part: real processes, and a relay on every way between two of them. */
export type Stage = {
  directory: string;
  /** An API key with all scopes. */
  key: string;
  signer: Signer;
  postgres: ChaosPostgres;
  queue: ChaosQueue;
  /** null: the database is on an ordinary volume. */
  volume: Volume | null;
  services: readonly StagedService[];
  /** Starts a receiver and a worker on another database of the same server; they end with the stage. */
  serve(database: string, environment?: Readonly<Record<string, string>>): Promise<StagedService[]>;
  /** What a process of the product is given, but for its database and its directory. */
  environment: Readonly<Record<string, string>>;
  /** From the workers to the sink. */
  toSink: Relay;
  /** The way to the database that is never disturbed, for observers. */
  db: DatabasePool;
  /** Copies the logs of all processes to a directory that stays. @returns its path. */
  keepLogs(): Promise<string>;
  close(): Promise<void>;
};

/** A process of the product, and the ways from and to it. */
export type StagedService = SupervisedService & {
  toDatabase: Relay;
  /** null: it has no way of its own to Redis. */
  toRedis: Relay | null;
  /** Leads to a receiver's port; null for a worker. */
  toPort: Relay | null;
};

export type StageOptions = {
  queue: QueueKind;
  /** The directory of the product's build. */
  build: string;
  /** The directory of the migrations that make its database. */
  migrations: URL;
  receivers: number;
  workers: number;
  /** How far a shifted clock is off. */
  clockShiftMs: number;
  /** Whether the database gets a volume that can be full. */
  hasVolume: boolean;
  /** The directory of the programs of an installed PostgreSQL; null: the embedded one. */
  postgresPrograms: string | null;
};

export const ownBuild: string = fileURLToPath(new URL("dist", packageRoot));

/** Opens a stage; everything it started ends with `close`, or with this process. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), "fanmail-chaos-"));
  // If this is root, PostgreSQL runs as another user, which must be able to enter.
  await chmod(directory, 0o755);
  const watchdog = startWatchdog(directory);
  const dataDir = join(directory, "database");
  const volume = options.hasVolume ? await mountVolume(dataDir, watchdog) : null;
  const postgres = await startPostgres(dataDir, watchdog, options.postgresPrograms);
  const db = openDatabase(postgres.urlAt(postgres.port), { maxConnections: 4, onIdleError: () => {} });
  await migrate(db, options.migrations);
  const queue = await startQueue(options.queue, directory, watchdog);
  const toSink = await openRelay(null);
  const signer = await makeSigner(directory);
  const key = apiKey(randomBytes(32));
  const environment = { ...environmentOf(signer, key), CHAOS_CLOCK_SHIFT_MS: String(options.clockShiftMs) };
  const parts: Parts = { directory, watchdog, postgres, queue, environment, build: options.build };
  const services: StagedService[] = [];
  for (let number = 1; number <= options.receivers; number++)
    services.push(await startService(parts, "receiver", number, "fanmail"));
  for (let number = 1; number <= options.workers; number++)
    services.push(await startService(parts, "worker", number, "fanmail"));
  await Promise.all(services.map((service) => service.ready()));
  const serve = async (database: string, besides: Readonly<Record<string, string>> = {}) => {
    const others = { ...parts, environment: { ...environment, ...besides } };
    const more = [
      await startService(others, "receiver", 1, database),
      await startService(others, "worker", 1, database),
    ];
    services.push(...more);
    await Promise.all(more.map((service) => service.ready()));
    return more;
  };
  const close = async () => {
    await Promise.all(services.map((service) => service.end()));
    await db.close();
    await queue.end();
    await postgres.stop();
    const relays = services.flatMap(({ toDatabase, toRedis, toPort }) => [toDatabase, toRedis, toPort]);
    for (const relay of [toSink, ...relays]) await relay?.close();
    await volume?.unmount();
    watchdog.dismiss();
    await rm(directory, { recursive: true, force: true });
  };
  const keepLogs = async () => {
    await writeFile(join(directory, "queue.log"), await queue.describe());
    return copyLogs(directory, postgres.logFile);
  };
  const opened = { directory, key, signer, postgres, queue, volume, services, environment, toSink, db };
  return { ...opened, serve, keepLogs, close };
}

async function copyLogs(directory: string, serverLog: string): Promise<string> {
  const kept = await mkdtemp(join(tmpdir(), "fanmail-chaos-logs-"));
  const names = (await readdir(directory)).filter((name) => name.endsWith(".log"));
  for (const name of names) await copyFile(join(directory, name), join(kept, name));
  await copyFile(serverLog, join(kept, "postgres.log"));
  return kept;
}

type Parts = {
  directory: string;
  watchdog: Watchdog;
  postgres: ChaosPostgres;
  queue: ChaosQueue;
  environment: Readonly<Record<string, string>>;
  build: string;
};

async function startService(
  parts: Parts,
  role: Role,
  number: number,
  database: string,
): Promise<StagedService> {
  const { directory, watchdog, postgres, queue, build } = parts;
  const name = database === "fanmail" ? `${role}-${number}` : `${database}-${role}-${number}`;
  const toDatabase = await openRelay(postgres.port);
  const redis = await queue.wayFor();
  const toPort = role === "receiver" ? await openRelay(null) : null;
  const dataDir = join(directory, name);
  await mkdir(dataDir);
  const service = new SupervisedService({
    name,
    role,
    build,
    environment: {
      ...parts.environment,
      DATABASE_URL: postgres.urlAt(toDatabase.port, database),
      DATA_DIR: dataDir,
      ...(redis.url !== null && { REDIS_URL: redis.url }),
    },
    logFile: join(directory, `${name}.log`),
    preload: fileURLToPath(new URL("dist/chaos/stage/shifted-clock.js", packageRoot)),
    onPort: (port) => toPort?.leadTo(port),
    watchdog,
  });
  return Object.assign(service, { toDatabase, toRedis: redis.relay, toPort });
}

function environmentOf({ certificateUrl, certificatePath }: Signer, key: string): Record<string, string> {
  return {
    PORT: "0",
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    BOOTSTRAP_API_KEY: key,
    RATE_LIMIT_PER_MINUTE: "100000000",
    WEBHOOK_ALLOWED_CIDRS: "127.0.0.0/8",
    SNS_TOPIC_ARNS: topicArn,
    SNS_LOCAL_CERTS: `${certificateUrl}=${certificatePath}`,
    LOG_LEVEL: "warn",
  };
}
