import { Redis } from "ioredis";
import { keyPrefix, queueNames } from "./jobs.ts";

/** What a Redis server says of itself; null where it does not say. */
export type RedisHealth = {
  version: string;
  /** What it does when its memory is full. */
  evictionPolicy: string | null;
  isAppendOnly: boolean;
  usedBytes: number;
  /** 0: as much as the machine has. */
  limitBytes: number;
  /** `ok` or `fail`; null outside a cluster. */
  clusterState: string | null;
  /** Wake-ups that wait; null on a node that does not hold their queues. */
  waiting: number | null;
};

/**
 * Asks one server, of a cluster too, and changes nothing. INFO serves where a provider forbids CONFIG.
 * @throws when it cannot be reached within `timeoutMs` or refuses to answer.
 */
export async function redisHealth(url: string, timeoutMs: number): Promise<RedisHealth> {
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
    // The call tells only that the connection was closed; the event before it tells why.
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
    // Another node has them, or the cluster is down, which its state tells.
    if (isCluster) return null;
    throw error;
  }
}

/** The lines `name:value` of an answer. */
function fields(answer: string): Map<string, string> {
  const lines = answer.split(/\r?\n/).map((line) => /^(\w+):(.*)$/.exec(line));
  return new Map(lines.flatMap((match) => (match ? [[match[1] ?? "", match[2] ?? ""] as const] : [])));
}
