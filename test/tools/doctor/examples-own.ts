import type { FactOf, SystemFact } from "../../../src/tools/doctor/rules/rule.ts";
import { queueUrl, topic } from "./healthy-world.ts";

/*
 * A fact for the code of each rule about Fanmail's own parts.
 */

const at = new Date("2026-11-20T10:00:00Z");
const ago = (seconds: number) => new Date(at.getTime() - seconds * 1000);
const id = "0192f0c4-0000-7000-8000-000000000001";
const url = "https://example.com/hook/token";

const configuration = (changes: Partial<FactOf<"configuration">>): SystemFact => ({
  kind: "configuration",
  awsRegion: "eu-west-1",
  sqsQueueUrls: [queueUrl],
  snsRawTokens: [],
  localCertificates: new Map(),
  host: "127.0.0.1",
  port: 3000,
  topicArns: [topic],
  isUnused: null,
  ...changes,
});

const unreachable = (sqlState: string, dataDir: string | null = null): SystemFact => ({
  kind: "unreachable-database",
  reason: "it says no",
  sqlState,
  dataDir,
});

const schema = (changes: Partial<FactOf<"schema">>): SystemFact => ({
  kind: "schema",
  pending: [],
  unknown: [],
  applied: 12,
  ...changes,
});

const server = (changes: Partial<FactOf<"server">>): SystemFact => ({
  kind: "server",
  version_number: 150_004,
  version: "15.4",
  time_zone: "UTC",
  fsync: "on",
  synchronous_commit: "on",
  is_standby: false,
  is_read_only: false,
  size_bytes: 12_345_678,
  connection_limit: 97,
  connections: 12,
  transaction_age: 1_000,
  now: at,
  needed_connections: 28,
  disk: null,
  ...changes,
});

const disk = (freeBytes: number) => server({ disk: { dataDir: "/data", freeBytes } });

const tables = (changes: Partial<FactOf<"tables">>): SystemFact => ({
  kind: "tables",
  lackingPrivileges: [],
  canMakePartitions: true,
  missingPartitions: [],
  ...changes,
});

const redis = (changes: Partial<FactOf<"redis">>): SystemFact => ({
  kind: "redis",
  place: "redis:6379",
  version: "7.2.1",
  evictionPolicy: "noeviction",
  isAppendOnly: true,
  usedBytes: 1_000_000,
  limitBytes: 0,
  clusterState: null,
  waiting: 3,
  ...changes,
});

const backlog = (kind: "backlog" | "failed-batches", changes: Partial<FactOf<"backlog">>): SystemFact => ({
  waiting: 0,
  oldest_seconds: 0,
  is_moving: false,
  failing: 0,
  attempts: 0,
  last_error: null,
  ...changes,
  kind,
});

const clock = (aheadMs: number): SystemFact => ({
  kind: "clock",
  whose: "the database's",
  aheadMs,
  uncertaintyMs: 500,
});

const host = (hasLocalCertificate: boolean, outcome: FactOf<"host">["outcome"]): SystemFact => ({
  kind: "host",
  host: "sns.eu-west-1.amazonaws.com",
  hasLocalCertificate,
  outcome,
});
const answered = { kind: "answered", date: at, askedAt: at, answeredAt: at } as const;
const refused = { kind: "refused", text: "connect ECONNREFUSED" } as const;

const lane = (changes: Partial<FactOf<"lane">>): SystemFact => ({
  kind: "lane",
  id,
  url,
  due: 3,
  oldest_due_seconds: 0,
  failing_since: null,
  failing_seconds: 0,
  ...changes,
});

const disabled = (disabled_reason: "manual" | "gone" | "failing", held: number): SystemFact => ({
  kind: "disabled-endpoint",
  id,
  url,
  disabled_reason,
  disabled_at: at,
  held,
});

const storedTopic = (changes: Partial<FactOf<"stored-topic">>): SystemFact => ({
  kind: "stored-topic",
  project_id: id,
  id,
  arn: topic,
  subscription_state: "confirmed",
  subscription_error: null,
  heard_since: ago(9 * 86_400),
  last_notification_at: ago(60),
  usual_gap_seconds: 600,
  now: at,
  ...changes,
});
const neverHeard = { heard_since: null, last_notification_at: null, usual_gap_seconds: null };

export const ownExamples: Record<string, SystemFact> = {
  "variable-wrong": { kind: "misconfigured", problem: "PORT must be a whole number" },
  "encryption-key-unreadable": { kind: "unreadable-keys", reason: "EACCES" },
  "source-none-yet": configuration({ topicArns: [], sqsQueueUrls: [], isUnused: true }),
  "source-none": configuration({ topicArns: [], sqsQueueUrls: [], isUnused: false }),
  "region-other": configuration({ awsRegion: "us-east-1", sqsQueueUrls: [] }),
  "local-certificates": configuration({ localCertificates: new Map([["https://x/a.pem", "/a.pem"]]) }),
  "host-loopback": configuration({ sqsQueueUrls: [] }),
  "configuration-well-formed": configuration({}),
  "bootstrap-key-revoked": { kind: "bootstrap-key", revokedAt: at },
  "bootstrap-key": { kind: "bootstrap-key", revokedAt: null },
  "api-keys": { kind: "api-keys", stored: 3, valid: 2 },
  "api-keys-none-yet": { kind: "api-keys", stored: 0, valid: 0 },
  "api-keys-none-valid": { kind: "api-keys", stored: 3, valid: 0 },

  "database-none-yet": { kind: "no-database", dataDir: "/data", demoDir: "/data/demo" },
  "database-embedded-broken": { kind: "embedded-database-broken", dataDir: "/data", reason: "no room" },
  "database-login": unreachable("28P01"),
  "database-no-such": unreachable("3D000"),
  "database-not-permitted": unreachable("42501"),
  "database-full-up": unreachable("53300"),
  "database-embedded-away": unreachable("", "/data"),
  "database-away": unreachable("ECONNREFUSED"),
  "schema-newer": schema({ unknown: ["9999_future.sql"], pending: ["0012_x.sql"] }),
  schema: schema({}),
  "schema-none-yet": schema({ pending: ["0001_first.sql"], applied: 0 }),
  "schema-behind": schema({ pending: ["0011_x.sql", "0012_y.sql"] }),
  server: server({}),
  "server-version": server({ version_number: 140_011, version: "14.11" }),
  "server-read-only": server({ is_standby: true, is_read_only: true }),
  "server-durability": server({ fsync: "off" }),
  "server-time-zone": server({ time_zone: "Europe/Berlin" }),
  "connections-too-few": server({ connection_limit: 27 }),
  "connections-taken": server({ connections: 93 }),
  "transactions-old": server({ transaction_age: 1.9e9 }),
  "transactions-too-old": server({ transaction_age: 1.95e9 }),
  "disk-small": disk(500 * 2 ** 20),
  "disk-full": disk(99 * 2 ** 20),
  "tables-not-permitted": tables({ lackingPrivileges: ["batches: insert", "topics: delete"] }),
  "partitions-not-permitted": tables({ canMakePartitions: false }),
  partitions: tables({}),
  "partitions-missing-not-permitted": tables({
    canMakePartitions: false,
    missingPartitions: ["events_2026_11"],
  }),
  "partitions-missing": tables({ missingPartitions: ["notifications_2026_11_20", "events_2026_11"] }),

  "redis-cluster": redis({ clusterState: "fail" }),
  "redis-version": redis({ version: "6.0.16" }),
  "redis-eviction": redis({ evictionPolicy: "allkeys-lru" }),
  "redis-memory": redis({ usedBytes: 90 * 2 ** 20, limitBytes: 100 * 2 ** 20 }),
  "redis-persistence": redis({ isAppendOnly: false }),
  redis: redis({}),
  "redis-login": {
    kind: "unreachable-redis",
    place: "redis:6379",
    reason: "NOAUTH Authentication required.",
  },
  "redis-away": { kind: "unreachable-redis", place: "redis:6379", reason: "connect ECONNREFUSED" },
  "bullmq-missing": { kind: "bullmq", waiting: null },
  bullmq: { kind: "bullmq", waiting: 3 },
  "backlog-none": backlog("backlog", {}),
  "workers-behind": backlog("backlog", { waiting: 2, oldest_seconds: 300, is_moving: true }),
  "workers-none": backlog("backlog", { waiting: 1, oldest_seconds: 300 }),
  "quarantine-empty": { kind: "quarantine", reasons: [] },
  quarantine: { kind: "quarantine", reasons: [{ reason: "bounce.timestamp is not a time", count: 1 }] },
  "batches-failing": backlog("failed-batches", { failing: 2, attempts: 4, last_error: "disk full" }),
  "batches-failed": backlog("failed-batches", { failing: 1, attempts: 5 }),

  clock: clock(-2_400),
  "clock-off": clock(60_400),
  "clock-far-off": clock(-60_600),
  "clock-of-aws-unknown": { kind: "no-clock-of-aws" },
  "certificate-host-unknown": { kind: "no-host" },
  "certificate-host": host(false, answered),
  "certificate-host-away-with-local": host(true, refused),
  "certificate-host-away": host(false, refused),

  "topics-none-yet": { kind: "stored-topics", count: 0 },
  "topic-never-asked": storedTopic({ subscription_state: "unknown", ...neverHeard }),
  "topic-unconfirmed": storedTopic({ subscription_state: "confirmation_failed" }),
  "topic-unsubscribed": storedTopic({ subscription_state: "unsubscribed" }),
  "topic-never-heard": storedTopic(neverHeard),
  "topic-heard": storedTopic({}),
  "topic-silent": storedTopic({ last_notification_at: ago(3_600) }),

  "endpoints-none": { kind: "endpoints", enabled: 0, disabled: 0, lanes: [] },
  endpoints: { kind: "endpoints", enabled: 2, disabled: 1, lanes: [] },
  "endpoint-late": lane({ oldest_due_seconds: 1_200, failing_since: ago(1_200), failing_seconds: 1_200 }),
  "endpoint-very-late": lane({ oldest_due_seconds: 7_200 }),
  "endpoint-disabled-by-hand": disabled("manual", 0),
  "endpoint-disabled": disabled("gone", 2),
  "secrets-open": { kind: "sealed-parts", closed: [] },
  "secrets-closed": {
    kind: "sealed-parts",
    closed: [{ endpoint: `${id} (example.com)`, reason: "Wrong key" }],
  },
};
