import type { Cluster, Redis } from "ioredis";
import { type CountRequests, secondsUntilMore, windowSeconds } from "../domain/request-window.ts";

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
