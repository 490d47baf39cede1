import { statfs } from "node:fs/promises";
import { errorText } from "../../logger.ts";
import { migrationsDirectory } from "../../package-info.ts";
import { connectionsOfProcess, type Database } from "../../storage/database.ts";
import { sqlState } from "../../storage/database-errors.ts";
import { partitionsFor } from "../../storage/partitions.ts";
import { fail, next, type Observation, ok, type Patient, warn } from "./check.ts";
import {
  canMakePartitions,
  migrationGap,
  missingPrivileges,
  partitionNames,
  type ServerFacts,
  serverFacts,
} from "./health.sql.ts";
import { bytesText, counted, ended, excerpt } from "./wording.ts";

/** What BullMQ opens beside the pool of a process, where it runs on Postgres. */
const connectionsOfQueues = 16;
const oldestVersion = 150_000;

/** Whether the schema is the program's. @returns the reason why the tables cannot be read, null when they can. */
export async function lookAtSchema(
  db: Database,
): Promise<{ observations: Observation[]; unreadable: string | null }> {
  const { pending, unknown, applied } = await migrationGap(db, migrationsDirectory);
  if (unknown.length > 0) {
    const seen = fail(
      `The schema is of a newer version of fanmail: it has ${unknown.join(", ")}.`,
      "Run that version or a newer one, or restore a backup of this version's time.",
    );
    return { observations: [seen], unreadable: "the schema is of a newer version" };
  }
  if (pending.length === 0) return { observations: [ok("The schema is up to date.")], unreadable: null };
  if (applied === 0) {
    const seen = next("The database is empty.", "Start the service: npx fanmail start. It makes the tables.");
    return { observations: [seen], unreadable: "the database is empty" };
  }
  const behind = `the schema is behind by ${counted(pending.length, "migration")}`;
  const seen = fail(
    `The database answers, but ${behind}: ${excerpt(pending.join(", "))}.`,
    "Run npx fanmail migrate; every start of the service does so too.",
  );
  return { observations: [seen], unreadable: behind };
}

/** Why a database does not answer. */
export function unreachableDatabase(error: unknown, { config }: Pick<Patient, "config">): Observation {
  const what = `The database cannot be used: ${ended(errorText(error))}`;
  const state = sqlState(error) ?? "";
  if (state.startsWith("28")) return fail(what, "Check user and password in DATABASE_URL, and pg_hba.conf.");
  if (state === "3D000") return fail(what, "Make the database that DATABASE_URL names: createdb <name>.");
  if (state === "42501") return fail(what, "Grant the role of DATABASE_URL what the error names.");
  if (state.startsWith("53"))
    return fail(what, "Raise max_connections of PostgreSQL, or run fewer processes.");
  if (config.databaseUrl === null) {
    return fail(what, `See postgres.log in ${config.dataDir}, and start the service: npx fanmail start.`);
  }
  return fail(
    what,
    "Start PostgreSQL, or correct host, port and database name in DATABASE_URL; look whether a firewall is between.",
  );
}

/** What the server is and how it is set. */
export async function lookAtServer(
  db: Database,
  { config }: Pick<Patient, "config">,
): Promise<Observation[]> {
  const facts = await serverFacts(db);
  if (facts === null) return [];
  const found = [
    ...version(facts),
    ...writing(facts),
    ...durability(facts),
    ...timeZone(facts),
    ...connections(facts, config.redisUrls.length === 0),
    ...transactionAge(facts),
    ...(await room(config)),
  ];
  const summary = `PostgreSQL ${facts.version} answers; the database holds ${bytesText(facts.size_bytes)}.`;
  return [ok(summary), ...found];
}

function version({ version_number, version: name }: ServerFacts): Observation[] {
  if (version_number >= oldestVersion) return [];
  return [fail(`PostgreSQL is ${name}; Fanmail needs 15 or newer.`, "Upgrade PostgreSQL to 15 or newer.")];
}

function writing({ is_standby, is_read_only }: ServerFacts): Observation[] {
  if (!is_standby && !is_read_only) return [];
  const what = is_standby ? "The server is a standby" : "default_transaction_read_only is on";
  return [
    fail(
      `${what}, so that nothing can be stored.`,
      "Let DATABASE_URL lead to the primary, with default_transaction_read_only off.",
    ),
  ];
}

function durability({ fsync, synchronous_commit }: ServerFacts): Observation[] {
  const off = [
    ...(fsync === "off" ? ["fsync"] : []),
    ...(synchronous_commit === "off" ? ["synchronous_commit"] : []),
  ];
  return off.map((name) =>
    warn(
      `${name} is off: what was answered 200 can be lost when the server crashes.`,
      `Switch it on: alter system set ${name} = on; select pg_reload_conf(); and see whether the role or database sets it.`,
    ),
  );
}

function timeZone({ time_zone }: ServerFacts): Observation[] {
  if (["UTC", "Etc/UTC", "GMT"].includes(time_zone)) return [];
  return [
    warn(
      `Our sessions are in the time zone ${time_zone} although they set UTC, so that days begin at another time.`,
      "Let the connection pooler carry over what a session sets, or run: alter role <role> set timezone = 'UTC'.",
    ),
  ];
}

function connections({ connection_limit: limit, connections: used }: ServerFacts, withQueues: boolean) {
  const needed = connectionsOfProcess + (withQueues ? connectionsOfQueues : 0);
  const remedy = "Raise max_connections (alter system set max_connections = 100; restart PostgreSQL).";
  if (limit < needed)
    return [warn(`${limit} connections are allowed, and one process opens up to ${needed}.`, remedy)];
  if (limit - used >= 5) return [];
  return [warn(`${used} of ${limit} connections are taken, which leaves too few for a restart.`, remedy)];
}

function transactionAge({ transaction_age: age }: ServerFacts): Observation[] {
  if (age < 1e9) return [];
  const what = `The oldest transaction id is ${Math.round(age / 1e6)} million old; at 2,147 million PostgreSQL stops writing.`;
  const remedy =
    "Run vacuum freeze, and end what holds it back: old transactions, prepared transactions, unused replication slots.";
  return [age > 1.9e9 ? fail(what, remedy) : warn(what, remedy)];
}

/** Only the disk of the embedded database is one that we can see. */
async function room({ databaseUrl, dataDir }: Patient["config"]): Promise<Observation[]> {
  if (databaseUrl !== null) return [];
  const { bavail, bsize } = await statfs(dataDir);
  const free = bavail * bsize;
  if (free > 2 ** 30) return [];
  const what = `${bytesText(free)} are free on the disk of ${dataDir}.`;
  const remedy = "Make room on it, or lower JOURNAL_DAYS; nothing is stored once it is full.";
  return [free < 100 * 2 ** 20 ? fail(what, remedy) : warn(what, remedy)];
}

/** Whether what arrives today and tomorrow has a place, and the role may write it. */
export async function lookAtTables(db: Database, now: Date): Promise<Observation[]> {
  const [lacking, canMake, names] = await Promise.all([
    missingPrivileges(db),
    canMakePartitions(db),
    partitionNames(db),
  ]);
  const missing = partitionsFor([now, new Date(now.getTime() + 86_400_000)]).filter(
    (name) => !names.includes(name),
  );
  return [...privileges(lacking), ...making(canMake), ...partitions(missing, canMake)];
}

function privileges(lacking: string[]): Observation[] {
  if (lacking.length === 0) return [];
  return [
    fail(
      `Permission denied: the role lacks privileges on tables (${lacking.join("; ")}).`,
      "Run fanmail as the role that owns the tables, or: grant select, insert, update, delete on all tables in schema public to <role>.",
    ),
  ];
}

function making(canMake: boolean): Observation[] {
  if (canMake) return [];
  return [
    fail(
      "The role can make no partitions: it does not own the tables notifications and events, or may not create in their schema.",
      "alter table notifications owner to <role>; alter table events owner to <role>; grant create on schema public to <role>.",
    ),
  ];
}

function partitions(missing: string[], canMake: boolean): Observation[] {
  if (missing.length === 0) return [ok("There are partitions for today and tomorrow.")];
  const what = `Partitions are missing for what arrives today or tomorrow: ${missing.join(", ")}.`;
  if (!canMake) return [fail(what, "Mend the privileges of the role first; then start fanmail worker.")];
  return [
    warn(
      what,
      "Workers make them ahead of time: look whether fanmail start or fanmail worker runs. The first notification of a day makes its own as well.",
    ),
  ];
}
