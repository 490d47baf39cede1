import { bytesText, counted, ended, excerpt, spanText } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

type RedisFact = FactOf<"redis">;

function isTooOld({ version }: RedisFact): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return !(major > 6 || (major === 6 && minor >= 2));
}

const redisRules = [
  rule("redis", {
    code: "redis-cluster",
    area: "queue",
    level: "fail",
    when: (fact) => fact.clusterState !== null && fact.clusterState !== "ok" && fact,
    say: ({ clusterState, place }) =>
      `The Redis Cluster is in the state ${clusterState}, as the node ${place} sees it.`,
    remedy:
      "See redis-cli cluster info and cluster nodes: start the nodes that are down, and assign slots that no node has.",
  }),
  rule("redis", {
    code: "redis-version",
    area: "queue",
    level: "fail",
    when: (fact) => isTooOld(fact) && fact,
    say: ({ place, version }) => `Redis at ${place}: it is version ${version}; BullMQ needs 6.2 or newer.`,
    remedy: "Upgrade Redis to 6.2 or newer.",
  }),
  rule("redis", {
    code: "redis-eviction",
    area: "queue",
    level: "fail",
    when: (fact) => fact.evictionPolicy !== null && fact.evictionPolicy !== "noeviction" && fact,
    say: ({ place, evictionPolicy }) =>
      `Redis at ${place}: maxmemory-policy is ${evictionPolicy}, so it drops jobs when its memory is full.`,
    remedy: "Run redis-cli config set maxmemory-policy noeviction, and write it into redis.conf.",
  }),
  rule("redis", {
    code: "redis-memory",
    area: "queue",
    level: "warn",
    when: (fact) => fact.limitBytes > 0 && fact.usedBytes >= fact.limitBytes * 0.9 && fact,
    say: ({ place, usedBytes, limitBytes }) =>
      `Redis at ${place}: ${bytesText(usedBytes)} of its ${bytesText(limitBytes)} are used; when they are full no job can be added.`,
    remedy: "Raise maxmemory, or move other data out of this Redis.",
  }),
  rule("redis", {
    code: "redis-persistence",
    area: "queue",
    level: "warn",
    when: (fact) => !fact.isAppendOnly && fact,
    say: ({ place }) =>
      `Redis at ${place}: appendonly is off: a restart empties the queue, and work is delayed until the sweep repeats its wake-ups.`,
    remedy: "Run redis-cli config set appendonly yes, and write it into redis.conf.",
  }),
  rule("redis", {
    code: "redis",
    area: "queue",
    level: "ok",
    when: (fact) => fact,
    say: ({ version, place, waiting }) =>
      `Redis ${version} at ${place} answers${waiting === null ? "" : `; wake-ups that wait: ${waiting}`}.`,
  }),
];

const isRefused = ({ reason }: FactOf<"unreachable-redis">) => /NOAUTH|WRONGPASS|NOPERM/.test(reason);

const unreachable = {
  area: "queue",
  level: "fail",
  say: ({ place, reason }: FactOf<"unreachable-redis">) =>
    `Redis at ${place} cannot be used: ${ended(reason)}`,
} as const;

const unreachableRules = [
  rule("unreachable-redis", {
    ...unreachable,
    code: "redis-login",
    when: (fact) => isRefused(fact) && fact,
    remedy: "Put user and password into REDIS_URL: redis://user:password@host:6379.",
  }),
  rule("unreachable-redis", {
    ...unreachable,
    code: "redis-away",
    when: (fact) => !isRefused(fact) && fact,
    remedy:
      "Start Redis, or correct REDIS_URL (rediss:// if it uses TLS). Notifications are stored meanwhile, but not applied.",
  }),
];

const bullmqRules = [
  rule("bullmq", {
    code: "bullmq-missing",
    area: "queue",
    level: "fail",
    when: ({ waiting }) => waiting === null,
    say: "BullMQ's tables (schema bullmq) are missing, so no worker is woken.",
    remedy: "Run npx fanmail migrate with REDIS_URL unset, or set REDIS_URL.",
  }),
  rule("bullmq", {
    code: "bullmq",
    area: "queue",
    level: "ok",
    when: ({ waiting }) => waiting !== null && { waiting },
    say: ({ waiting }) => `The queue runs on PostgreSQL; wake-ups that wait: ${waiting}.`,
  }),
];

function waitingText({ waiting, oldest_seconds }: FactOf<"backlog">): string {
  return `${counted(waiting, "batch")} of notifications waited for more than a minute, the oldest for ${spanText(oldest_seconds)}`;
}

/** What waits in the journal shows whether workers run, whatever runs the queue. */
const workerRules = [
  rule("backlog", {
    code: "backlog-none",
    area: "queue",
    level: "ok",
    when: ({ waiting }) => waiting === 0,
    say: "No batch waits for a worker.",
  }),
  rule("backlog", {
    code: "workers-behind",
    area: "queue",
    level: "warn",
    when: (fact) => fact.waiting > 0 && fact.is_moving && fact,
    say: (fact) => `${waitingText(fact)}; workers apply batches, but are behind.`,
    remedy: "Wait, or run more of fanmail worker; check the load of PostgreSQL.",
  }),
  rule("backlog", {
    code: "workers-none",
    area: "queue",
    level: "fail",
    when: (fact) => fact.waiting > 0 && !fact.is_moving && fact,
    say: (fact) => `${waitingText(fact)}: no worker runs, or none is woken.`,
    remedy:
      "Start fanmail worker (or fanmail start) with the same DATABASE_URL and REDIS_URL as the receiver, and read its log.",
  }),
];

const manyAttempts = 5;

const failedBatches = {
  area: "journal",
  say: ({ failing, attempts, last_error }: FactOf<"failed-batches">) =>
    `${counted(failing, "batch")} cannot be applied, after up to ${counted(attempts, "attempt")}: ${ended(excerpt(last_error ?? "no reason was kept"))}`,
  remedy: "Fix the cause that it names; workers try again by themselves, at least every five minutes.",
} as const;

const journalRules = [
  rule("quarantine", {
    code: "quarantine-empty",
    area: "journal",
    level: "ok",
    when: ({ reasons }) => reasons.length === 0,
    say: "No notification of the last 7 days is in quarantine; what was refused before it was stored is counted in /metrics only.",
  }),
  rule("quarantine", {
    code: "quarantine",
    area: "journal",
    level: "warn",
    when: ({ reasons }) => reasons,
    say: ({ reason, count }) =>
      `${counted(count, "notification")} of the last 7 days ${count === 1 ? "is" : "are"} in quarantine: ${ended(excerpt(reason))}`,
    remedy:
      "They stay in the journal: check whether something other than SES publishes to the topic, or upgrade fanmail, then run npx fanmail rebuild.",
  }),
  rule("failed-batches", {
    ...failedBatches,
    code: "batches-failing",
    level: "warn",
    when: (fact) => fact.failing > 0 && fact.attempts < manyAttempts && fact,
  }),
  rule("failed-batches", {
    ...failedBatches,
    code: "batches-failed",
    level: "fail",
    when: (fact) => fact.failing > 0 && fact.attempts >= manyAttempts && fact,
  }),
];

export const queueRules = [
  ...redisRules,
  ...unreachableRules,
  ...bullmqRules,
  ...workerRules,
  ...journalRules,
];
