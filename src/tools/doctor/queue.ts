import { firstIdAt } from "../../domain/computed-id.ts";
import { errorText } from "../../logger.ts";
import { type RedisHealth, redisHealth } from "../../queue/redis.ts";
import type { Database } from "../../storage/database.ts";
import { fail, type Observation, ok, warn } from "./check.ts";
import { type Backlog, batchBacklog, waitingWakeUps } from "./health.sql.ts";
import { bytesText, counted, ended, spanText } from "./wording.ts";

/** Where the queue runs on Postgres. */
export async function lookAtPostgresQueue(db: Database): Promise<Observation[]> {
  const waiting = await waitingWakeUps(db);
  if (waiting === null) {
    return [
      fail(
        "BullMQ's tables (schema bullmq) are missing, so that no worker is woken.",
        "Run npx fanmail migrate with REDIS_URL unset, or set REDIS_URL.",
      ),
    ];
  }
  return [ok(`The queue runs on PostgreSQL; wake-ups that wait: ${waiting}.`)];
}

/** One server of Redis, of a cluster too. @param url may hold a password, which is not told. */
export async function lookAtRedis(url: string, timeoutMs: number): Promise<Observation[]> {
  const place = new URL(url).host;
  try {
    const health = await redisHealth(url, timeoutMs);
    const found = [...release(health), ...eviction(health), ...memory(health), ...persistence(health)];
    return [...cluster(place, health), ...found.map((one) => at(place, one)), reached(place, health)];
  } catch (error) {
    return [unreachableRedis(place, error)];
  }
}

function at(place: string, { what, ...rest }: Observation): Observation {
  return { ...rest, what: `Redis at ${place}: ${what}` };
}

function reached(place: string, { version, waiting }: RedisHealth): Observation {
  const backlog = waiting === null ? "" : `; wake-ups that wait: ${waiting}`;
  return ok(`Redis ${version} at ${place} answers${backlog}.`);
}

function unreachableRedis(place: string, error: unknown): Observation {
  const text = errorText(error);
  const what = `Redis at ${place} cannot be used: ${ended(text)}`;
  if (/NOAUTH|WRONGPASS|NOPERM/.test(text)) {
    return fail(what, "Put user and password into REDIS_URL: redis://user:password@host:6379.");
  }
  return fail(
    what,
    "Start Redis, or correct REDIS_URL (rediss:// where it speaks TLS). Notifications are stored meanwhile, but nobody applies them.",
  );
}

function release({ version }: RedisHealth): Observation[] {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > 6 || (major === 6 && minor >= 2)) return [];
  return [fail(`it is version ${version}; BullMQ needs 6.2 or newer.`, "Upgrade Redis to 6.2 or newer.")];
}

function eviction({ evictionPolicy }: RedisHealth): Observation[] {
  if (evictionPolicy === null || evictionPolicy === "noeviction") return [];
  return [
    fail(
      `maxmemory-policy is ${evictionPolicy}, so that it drops jobs when its memory is full.`,
      "Run redis-cli config set maxmemory-policy noeviction, and write it into redis.conf.",
    ),
  ];
}

function memory({ usedBytes, limitBytes }: RedisHealth): Observation[] {
  if (limitBytes === 0 || usedBytes < limitBytes * 0.9) return [];
  return [
    warn(
      `${bytesText(usedBytes)} of its ${bytesText(limitBytes)} are used; when they are full no job can be added.`,
      "Raise maxmemory, or take other data out of this Redis.",
    ),
  ];
}

function persistence({ isAppendOnly }: RedisHealth): Observation[] {
  if (isAppendOnly) return [];
  return [
    warn(
      "appendonly is off: a restart empties the queue, which costs time until the sweep has repeated its wake-ups.",
      "Run redis-cli config set appendonly yes, and write it into redis.conf.",
    ),
  ];
}

function cluster(place: string, { clusterState }: RedisHealth): Observation[] {
  if (clusterState === null || clusterState === "ok") return [];
  return [
    fail(
      `The Redis Cluster is in the state ${clusterState}, as the node ${place} sees it.`,
      "See redis-cli cluster info and cluster nodes: start the nodes that are away, and assign slots that nobody has.",
    ),
  ];
}

/** Whether somebody works. Told by what waits in the journal, because that holds for every kind of queue. */
export async function lookAtWorkers(db: Database, now: Date): Promise<Observation[]> {
  const backlog = await batchBacklog(db, firstIdAt(now.getTime() - 86_400_000));
  if (backlog === null || backlog.waiting === 0) return [ok("No batch waits for a worker.")];
  return [workersBehind(backlog)];
}

function workersBehind({ waiting, oldest_seconds, is_moving }: Backlog): Observation {
  const what = `${counted(waiting, "batch")} of notifications waited for more than a minute, the oldest for ${spanText(oldest_seconds)}`;
  if (is_moving) {
    return warn(
      `${what}; workers apply batches, but are behind.`,
      "Wait, or run more of fanmail worker; look at the load of PostgreSQL.",
    );
  }
  return fail(
    `${what}: no worker runs, or none is woken.`,
    "Start fanmail worker (or fanmail start) with the same DATABASE_URL and REDIS_URL as the receiver, and look into its log.",
  );
}
