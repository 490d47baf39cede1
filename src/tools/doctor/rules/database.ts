import { join } from "node:path";
import type { FactOf } from "../fact.ts";
import { counted, ended, excerpt } from "../wording.ts";
import { rule } from "./rule.ts";

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

export const databaseRules = [...reachRules, ...schemaRules, ...tableRules];
