import type { FactOf } from "../fact.ts";
import { bytesText } from "../wording.ts";
import { rule } from "./rule.ts";

type ServerFact = FactOf<"server">;

const oldestVersion = 150_000;
const fewConnections = 5;

const oldTransactions = {
  area: "database",
  say: ({ transaction_age }: ServerFact) =>
    `The oldest transaction id is ${Math.round(transaction_age / 1e6)} million old; at 2,147 million PostgreSQL stops writing.`,
  remedy:
    "Run vacuum freeze, and end what holds it back: old transactions, prepared transactions, unused replication slots.",
} as const;

const smallDisk = {
  area: "database",
  say: ({ dataDir, freeBytes }: NonNullable<ServerFact["disk"]>) =>
    `${bytesText(freeBytes)} are free on the disk of ${dataDir}.`,
  remedy: "Make room on it, or lower JOURNAL_DAYS; nothing is stored once it is full.",
} as const;

const littleBytes = 2 ** 30;
const tooLittleBytes = 100 * 2 ** 20;

const connectionsRemedy =
  "Raise max_connections (alter system set max_connections = 100; restart PostgreSQL).";
const hasEnough = ({ connection_limit, needed_connections }: ServerFact) =>
  connection_limit >= needed_connections;

export const serverRules = [
  rule("server", {
    code: "server",
    area: "database",
    level: "ok",
    when: (fact) => fact,
    say: ({ version, size_bytes }) =>
      `PostgreSQL ${version} answers; the database holds ${bytesText(size_bytes)}.`,
  }),
  rule("server", {
    code: "server-version",
    area: "database",
    level: "fail",
    when: (fact) => fact.version_number < oldestVersion && fact,
    say: ({ version }) => `PostgreSQL is ${version}; Fanmail needs 15 or newer.`,
    remedy: "Upgrade PostgreSQL to 15 or newer.",
  }),
  rule("server", {
    code: "server-read-only",
    area: "database",
    level: "fail",
    when: ({ is_standby, is_read_only }) => (is_standby || is_read_only) && { is_standby },
    say: ({ is_standby }) =>
      `${is_standby ? "The server is a standby" : "default_transaction_read_only is on"}, so nothing can be stored.`,
    remedy: "Let DATABASE_URL lead to the primary, with default_transaction_read_only off.",
  }),
  rule("server", {
    code: "server-durability",
    area: "database",
    level: "warn",
    when: (fact) => (["fsync", "synchronous_commit"] as const).filter((name) => fact[name] === "off"),
    say: (name) => `${name} is off: what was answered 200 can be lost when the server crashes.`,
    remedy: (name) =>
      `Switch it on: alter system set ${name} = on; select pg_reload_conf(); and check whether the role or the database sets it.`,
  }),
  rule("server", {
    code: "server-time-zone",
    area: "database",
    level: "warn",
    when: (fact) => !["UTC", "Etc/UTC", "GMT"].includes(fact.time_zone) && fact,
    say: ({ time_zone }) =>
      `Our sessions are in the time zone ${time_zone} although they set UTC, so days begin at another time.`,
    remedy:
      "Let the connection pooler keep what a session sets, or run: alter role <role> set timezone = 'UTC'.",
  }),
  rule("server", {
    code: "connections-too-few",
    area: "database",
    level: "warn",
    when: (fact) => !hasEnough(fact) && fact,
    say: ({ connection_limit, needed_connections }) =>
      `${connection_limit} connections are allowed, and one process opens up to ${needed_connections}.`,
    remedy: connectionsRemedy,
  }),
  rule("server", {
    code: "connections-taken",
    area: "database",
    level: "warn",
    when: (fact) => hasEnough(fact) && fact.connection_limit - fact.connections < fewConnections && fact,
    say: ({ connections, connection_limit }) =>
      `${connections} of ${connection_limit} connections are taken, which leaves too few for a restart.`,
    remedy: connectionsRemedy,
  }),
  rule("server", {
    ...oldTransactions,
    code: "transactions-old",
    level: "warn",
    when: (fact) => fact.transaction_age >= 1e9 && fact.transaction_age <= 1.9e9 && fact,
  }),
  rule("server", {
    ...oldTransactions,
    code: "transactions-too-old",
    level: "fail",
    when: (fact) => fact.transaction_age > 1.9e9 && fact,
  }),
  rule("server", {
    ...smallDisk,
    code: "disk-small",
    level: "warn",
    when: ({ disk }) =>
      disk !== null && disk.freeBytes <= littleBytes && disk.freeBytes >= tooLittleBytes && disk,
  }),
  rule("server", {
    ...smallDisk,
    code: "disk-full",
    level: "fail",
    when: ({ disk }) => disk !== null && disk.freeBytes < tooLittleBytes && disk,
  }),
];
