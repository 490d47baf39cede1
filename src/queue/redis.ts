import { within } from "../clock.ts";
import { type CountRequests, secondsUntilMore, windowSeconds } from "../domain/request-window.ts";
import { errorText } from "../logger.ts";
import {
  type ConnectOptions,
  type JobQueue,
  type JobWorker,
  type QueueBackend,
  type QueueConnection,
  type QueueServer,
  type RedisHealth,
  takeOver,
} from "./backend.ts";
import { Queue, Worker } from "./bullmq.ts";
import { Cluster, Redis } from "./ioredis.ts";
import { keyPrefix, queueNames } from "./jobs.ts";

type Client = Redis | Cluster;
type OnError = ConnectOptions["onError"];

/** BullMQ on Redis. @param urls of one server, or of several nodes of a Redis Cluster. */
export function redisBackend(urls: readonly string[]): QueueBackend {
  return {
    migrate: async () => {},
    connect: (options) => connect(urls, options),
    databaseConnections: 0,
    servers: urls.map((url) => serverAt(url)),
  };
}

function serverAt(url: string): QueueServer {
  const place = new URL(url).host;
  return {
    subject: `Redis at ${place}`,
    isDatabase: false,
    async health(timeoutMs) {
      try {
        return { kind: "redis", place, ...(await redisHealth(url, timeoutMs)) };
      } catch (error) {
        return { kind: "unreachable-redis", place, reason: errorText(error) };
      }
    },
  };
}

/** A wake-up that takes longer is left to the sweep, and an API request is not counted. */
const addWithinMs = 2_500;
/**
 * A connection that stays silent for so long while a command waits for its reply is replaced. Nothing else ends one whose
 * other end has vanished without a word, and whatever is sent over it would wait forever. Longer than BullMQ's workers
 * wait for a job.
 */
const silentForMs = { adding: 2 * addWithinMs, working: 8_000 };

function connect(urls: readonly string[], { onError, traced }: ConnectOptions): QueueConnection {
  // A later wake-up is worth nothing, because the sweep repeats it, nor is a later count: fail at once while Redis is away.
  const forAdding = openRedis(urls, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: addWithinMs,
    socketTimeout: silentForMs.adding,
  });
  const forWorking = openRedis(urls, {
    enableOfflineQueue: true,
    maxRetriesPerRequest: null,
    socketTimeout: silentForMs.working,
  });
  for (const client of [forAdding, forWorking]) client.on("error", onError);
  return {
    queue: (name) =>
      jobQueue(forAdding, new Queue(name, { connection: forAdding, prefix: keyPrefix, ...traced }), onError),
    ready: () => readyInTime([forAdding, forWorking]).catch(onError),
    worker<Data>(name: string, concurrency: number, work: (data: Data) => Promise<void>) {
      const jobs = runningJobs(work);
      const options = { connection: forWorking, concurrency, prefix: keyPrefix, ...takeOver, ...traced };
      const worker = new Worker(name, (job) => jobs.run(job.data), options);
      worker.on("error", onError).on("failed", (_job, error) => onError(error));
      return jobWorker(forWorking, worker, jobs, onError);
    },
    countRequests: countIn(forAdding),
    disconnect() {
      forAdding.disconnect();
      forWorking.disconnect();
    },
  };
}

type RedisOptions = {
  enableOfflineQueue: boolean;
  maxRetriesPerRequest: number | null;
  /** In milliseconds. */
  commandTimeout?: number;
  /** In milliseconds. */
  socketTimeout: number;
};

function openRedis(urls: readonly string[], { enableOfflineQueue, ...redisOptions }: RedisOptions): Client {
  const [first = "", ...more] = urls;
  return more.length === 0
    ? new Redis(first, { enableOfflineQueue, ...redisOptions })
    : new Cluster([...urls], { enableOfflineQueue, redisOptions });
}

const redisReadyWithinMs = 2_000;

/** Work goes on without Redis, so a start does not wait long for it. */
async function readyInTime(clients: readonly Client[]): Promise<void> {
  const ready = clients.map(
    (client) =>
      client.status === "ready" || new Promise((resolve) => client.once("ready", () => resolve(true))),
  );
  const message = "Redis does not answer yet; wake-ups wait until it does";
  await within(redisReadyWithinMs, Promise.all(ready), message);
}

function jobQueue<Data>(client: Client, queue: Queue, onError: OnError): JobQueue<Data> {
  queue.on("error", onError);
  return {
    async addBulk(jobs) {
      // Before its first connection, BullMQ would wait for as long as that takes.
      if (client.status !== "ready") throw new Error("Redis cannot be reached");
      return queue.addBulk(jobs);
    },
    close: () => queue.close(),
  };
}

type RunningJobs<Data> = { run(data: Data): Promise<void>; settled(): Promise<unknown> };

function runningJobs<Data>(work: (data: Data) => Promise<void>): RunningJobs<Data> {
  const running = new Set<Promise<void>>();
  return {
    run(data) {
      const job = work(data).finally(() => running.delete(job));
      running.add(job);
      return job;
    },
    settled: () => Promise.allSettled(running),
  };
}

/** For a Redis that is frozen; jobs take less, because their posts are aborted. */
const closeWithinMs = 5_000;

function jobWorker<Data>(
  client: Client,
  worker: Worker,
  jobs: RunningJobs<Data>,
  onError: OnError,
): JobWorker {
  const close = async () => {
    const closing = worker.close().catch(onError);
    // BullMQ waits for a Redis that is away to come back; running jobs do not need it.
    const patienceMs = client.status === "ready" ? closeWithinMs : 0;
    await within(patienceMs, closing, "Redis does not release a worker").catch(onError);
    await jobs.settled();
  };
  let closed: Promise<void> | undefined;
  return {
    close() {
      closed ??= close();
      return closed;
    },
  };
}

/** A hash for each key: epoch second → requests in it. Redis's clock is the one for all processes. */
const countScript = `
local time = redis.call('TIME')
local now = tonumber(time[1])
local used, oldest = 0, now
local buckets = redis.call('HGETALL', KEYS[1])
for at = 1, #buckets, 2 do
  local second = tonumber(buckets[at])
  if second <= now - ${windowSeconds} then
    redis.call('HDEL', KEYS[1], buckets[at])
  else
    used = used + tonumber(buckets[at + 1])
    oldest = math.min(oldest, second)
  end
end
local passed, waiting, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local granted = math.min(waiting, math.max(0, limit - passed - used))
if passed + granted > 0 then
  redis.call('HINCRBY', KEYS[1], now, passed + granted)
  redis.call('EXPIRE', KEYS[1], ${windowSeconds + 1})
end
return {granted, used + passed + granted, oldest, now, tonumber(time[2])}
`;

function countIn(redis: Client): CountRequests {
  return async (keyId, { passed, waiting, limit }) => {
    const reply = await redis.eval(countScript, 1, `fanmail:requests:${keyId}`, passed, waiting, limit);
    // What the script above returns.
    const [granted, used, oldest, second, micros] = reply as [number, number, number, number, number];
    return { granted, used, secondsUntilMore: secondsUntilMore(oldest, second + micros / 1e6) };
  };
}

/**
 * Changes nothing. INFO works where a provider forbids CONFIG.
 * @throws when it cannot be reached within `timeoutMs` or refuses to answer.
 */
async function redisHealth(url: string, timeoutMs: number): Promise<RedisHealth> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  let reason: Error | undefined;
  redis.on("error", (error) => {
    reason ??= error;
  });
  try {
    await redis.connect();
    return await examine(redis);
  } catch (error) {
    // The call reports only that the connection was closed; the event before it says why.
    throw reason ?? error;
  } finally {
    redis.disconnect();
  }
}

async function examine(redis: Redis): Promise<RedisHealth> {
  const info = fields(await redis.info());
  const isCluster = info.get("cluster_enabled") === "1";
  const cluster = isCluster ? fields(String(await redis.cluster("INFO"))) : null;
  return {
    version: info.get("redis_version") ?? "unknown",
    evictionPolicy: info.get("maxmemory_policy") ?? null,
    isAppendOnly: info.get("aof_enabled") === "1",
    usedBytes: Number(info.get("used_memory") ?? 0),
    limitBytes: Number(info.get("maxmemory") ?? 0),
    clusterState: cluster?.get("cluster_state") ?? null,
    waiting: await waiting(redis, isCluster),
  };
}

async function waiting(redis: Redis, isCluster: boolean): Promise<number | null> {
  try {
    // BullMQ's lists.
    const lengths = Object.values(queueNames).map((name) => redis.llen(`${keyPrefix}:${name}:wait`));
    return (await Promise.all(lengths)).reduce((sum, length) => sum + length, 0);
  } catch (error) {
    // Another node has them, or the cluster is down, which its state says.
    if (isCluster) return null;
    throw error;
  }
}

/** The lines `name:value` of an answer. */
function fields(answer: string): Map<string, string> {
  const lines = answer.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return new Map(lines.flatMap((match) => (match ? [[match[1] ?? "", match[2] ?? ""] as const] : [])));
}
