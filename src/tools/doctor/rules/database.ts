import { join } from "node:path";
import { bytesText, counted, ended, excerpt } from "../wording.ts";
import { type FactOf, rule } from "./rule.ts";

const unreachable = {
  area: "database",
  level: "fail",
  say: ({ reason }: FactOf<"unreachable-database">) => `The database cannot be used: ${ended(reason)}`,
} as const;

/** The class or state of SQLSTATE that has a rule; null for all others. */
function classOf({ sqlState }: FactOf<"unreachable-database">): "28" | "3D000" | "42501" | "53" | null {
  if (sqlState === "3D000" || sqlState === "42501") return sqlState;
  return sqlState.startsWith("28") ? "28" : sqlState.startsWith("53") ? "53" : null;
}

const reachRules = [
  rule("no-database", {
    code: "database-none-yet",
    area: "database",
    level: "next",
    when: (fact) => fact,
    say: ({ dataDir }) => `There is no database in ${dataDir} yet.`,
    remedy: ({ demoDir }) =>
      `Start the service: npx fanmail start (set DATABASE_URL for a PostgreSQL of your own); ${demoDir === null ? "to see it work first: npx fanmail demo" : `to look at the demonstration, set DATA_DIR=${demoDir}`}.`,
  }),
  rule("embedded-database-broken", {
    code: "database-embedded-broken",
    area: "database",
    level: "fail",
    when: (fact) => fact,
    say: ({ dataDir, reason }) => `The embedded database in ${dataDir} cannot be used: ${ended(reason)}`,
    remedy: ({ dataDir }) => `See postgres.log in ${join(dataDir, "postgres")}.`,
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-login",
    when: (fact) => classOf(fact) === "28" && fact,
    remedy: "Check user and password in DATABASE_URL, and pg_hba.conf.",
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-no-such",
    when: (fact) => classOf(fact) === "3D000" && fact,
    remedy: "Make the database that DATABASE_URL names: createdb <name>.",
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-not-permitted",
    when: (fact) => classOf(fact) === "42501" && fact,
    remedy: "Grant the role of DATABASE_URL what the error names.",
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-full-up",
    when: (fact) => classOf(fact) === "53" && fact,
    remedy: "Raise max_connections of PostgreSQL, or run fewer processes.",
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-embedded-away",
    when: (fact) => classOf(fact) === null && fact.dataDir !== null && fact,
    remedy: ({ dataDir }) => `See postgres.log in ${dataDir}, and start the service: npx fanmail start.`,
  }),
  rule("unreachable-database", {
    ...unreachable,
    code: "database-away",
    when: (fact) => classOf(fact) === null && fact.dataDir === null && fact,
    remedy:
      "Start PostgreSQL, or correct host, port and database name in DATABASE_URL; check for a firewall in between.",
  }),
];

const isOfThisVersion = ({ unknown }: FactOf<"schema">) => unknown.length === 0;

const schemaRules = [
  rule("schema", {
    code: "schema-newer",
    area: "database",
    level: "fail",
    when: (fact) => !isOfThisVersion(fact) && fact,
    say: ({ unknown }) => `The schema is of a newer version of fanmail: it has ${unknown.join(", ")}.`,
    remedy: "Run that version or a newer one, or restore a backup of this version's time.",
  }),
  rule("schema", {
    code: "schema",
    area: "database",
    level: "ok",
    when: (fact) => isOfThisVersion(fact) && fact.pending.length === 0,
    say: "The schema is up to date.",
  }),
  rule("schema", {
    code: "schema-none-yet",
    area: "database",
    level: "next",
    when: (fact) => isOfThisVersion(fact) && fact.pending.length > 0 && fact.applied === 0,
    say: "The database is empty.",
    remedy: "Start the service: npx fanmail start. It creates the tables.",
  }),
  rule("schema", {
    code: "schema-behind",
    area: "database",
    level: "fail",
    when: (fact) => isOfThisVersion(fact) && fact.pending.length > 0 && fact.applied > 0 && fact,
    say: ({ pending }) =>
      `The database answers, but the schema is behind by ${counted(pending.length, "migration")}: ${excerpt(pending.join(", "))}.`,
    remedy: "Run npx fanmail migrate; every start of the service does so too.",
  }),
];

const tableRules = [
  rule("tables", {
    code: "tables-not-permitted",
    area: "database",
    level: "fail",
    when: (fact) => fact.lackingPrivileges.length > 0 && fact,
    say: ({ lackingPrivileges }) =>
      `Permission denied: the role lacks privileges on tables (${lackingPrivileges.join("; ")}).`,
    remedy:
      "Run fanmail as the role that owns the tables, or: grant select, insert, update, delete on all tables in schema public to <role>.",
  }),
  rule("tables", {
    code: "partitions-not-permitted",
    area: "database",
    level: "fail",
    when: ({ canMakePartitions }) => !canMakePartitions,
    say: "The role cannot create partitions: it does not own the tables notifications and events, or may not create tables in their schema.",
    remedy:
      "alter table notifications owner to <role>; alter table events owner to <role>; grant create on schema public to <role>.",
  }),
  rule("tables", {
    code: "partitions",
    area: "database",
    level: "ok",
    when: ({ missingPartitions }) => missingPartitions.length === 0,
    say: "There are partitions for today and tomorrow.",
  }),
  rule("tables", {
    code: "partitions-missing-not-permitted",
    area: "database",
    level: "fail",
    when: (fact) => fact.missingPartitions.length > 0 && !fact.canMakePartitions && fact,
    say: missingPartitionsText,
    remedy: "Fix the privileges of the role first; then start fanmail worker.",
  }),
  rule("tables", {
    code: "partitions-missing",
    area: "database",
    level: "warn",
    when: (fact) => fact.missingPartitions.length > 0 && fact.canMakePartitions && fact,
    say: missingPartitionsText,
    remedy:
      "Workers create them ahead of time: check that fanmail start or fanmail worker runs. The first notification of a day creates its own as well.",
  }),
];

function missingPartitionsText({ missingPartitions }: FactOf<"tables">): string {
  return `Partitions are missing for what arrives today or tomorrow: ${missingPartitions.join(", ")}.`;
}

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

const serverRules = [
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

export const databaseRules = [...reachRules, ...schemaRules, ...tableRules, ...serverRules];
