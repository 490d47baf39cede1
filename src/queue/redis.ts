import { type Cluster, Redis } from "ioredis";
import { type CountRequests, secondsUntilMore, windowSeconds } from "../domain/request-window.ts";
import { keyPrefix, queueNames } from "./jobs.ts";

/** A hash for each key: epoch second → requests in it. The clock is that of Redis, one for all processes. */
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

/** Counts requests in Redis. */
export function countInRedis(redis: Redis | Cluster): CountRequests {
  return async (keyId, { passed, waiting, limit }) => {
    const reply = await redis.eval(countScript, 1, `fanmail:requests:${keyId}`, passed, waiting, limit);
    // What the script above returns.
    const [granted, used, oldest, second, micros] = reply as [number, number, number, number, number];
    return { granted, used, secondsUntilMore: secondsUntilMore(oldest, second + micros / 1e6) };
  };
}

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
