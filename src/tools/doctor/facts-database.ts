import { statfs } from "node:fs/promises";
import type { Clock } from "../../clock.ts";
import type { Config } from "../../config.ts";
import { parseArn } from "../../domain/arn.ts";
import { triggerTopic } from "../../domain/mail/sns-message.ts";
import { dayMs } from "../../domain/time-text.ts";
import { errorText } from "../../logger.ts";
import { migrationsDirectory } from "../../package-info.ts";
import { chooseBackend } from "../../queue/queues.ts";
import { connectionsOfProcess, type Database, type DatabasePool } from "../../storage/database.ts";
import { sqlState } from "../../storage/database-errors.ts";
import { partitionsFor } from "../../storage/partitions.ts";
import { type HeardTopic, listHeardTopics } from "../../storage/topics.ts";
import type { Area } from "./finding.ts";
import {
  canMakePartitions,
  migrationGap,
  missingPrivileges,
  partitionNames,
  readOnly,
  type ServerSettings,
  serverSettings,
} from "./health.sql.ts";
import type { Patient, PlacelessDatabaseFact } from "./patient.ts";
import { once, type Reading, type UnaskedFact, withinDeadline } from "./reading.ts";
import { counted } from "./wording.ts";

export type DatabaseFact =
  | PlacelessDatabaseFact
  | { kind: "unreachable-database"; reason: string; sqlState: string; dataDir: string | null }
  | SchemaFact
  | ServerFact
  | TablesFact
  | ClockFact;

type SchemaFact = { kind: "schema"; pending: string[]; unknown: string[]; applied: number };
type ServerFact = ServerSettings & {
  kind: "server";
  /** The most that one process opens. */
  needed_connections: number;
  /** Of the embedded database; null for others, whose disk cannot be seen from here. */
  disk: { dataDir: string; freeBytes: number } | null;
};
type TablesFact = {
  kind: "tables";
  lackingPrivileges: string[];
  canMakePartitions: boolean;
  /** Of today and tomorrow. */
  missingPartitions: string[];
};
/** How far this clock is ahead of another one. @property whose completes "Our clock agrees with …". */
export type ClockFact = { kind: "clock"; whose: string; aheadMs: number; uncertaintyMs: number };

/** A database that can be read, or why it cannot be read now. */
export type Store = { db: Database } | { unreadable: string };

/** The database as far as it can be read. */
export type Stored = {
  /** Answers, whatever tables it has. */
  server: Store;
  /** Has the tables of this version. */
  store: Store;
  /** What is allow-listed in the database, SQS queues among them; or why that cannot be read. */
  topics: HeardTopic[] | Error;
};

/** @param pool null where there is no database that could be asked. */
export async function openStored(
  patient: Patient,
  pool: DatabasePool | null,
): Promise<{ facts: DatabaseFact[]; stored: Stored }> {
  const { facts, server, store } = await readSchema(patient, pool);
  return { facts, stored: { server, store, topics: await readTopics(patient, store) } };
}

type Schema = { facts: DatabaseFact[]; server: Store; store: Store };

async function readSchema(
  { config, database, timeoutMs }: Patient,
  pool: DatabasePool | null,
): Promise<Schema> {
  const away = { unreadable: "the database is away" };
  if ("kind" in database) {
    const none = database.kind === "no-database" ? { unreadable: "there is no database yet" } : away;
    return { facts: [database], server: none, store: none };
  }
  if (pool === null) throw new Error("unreachable: a database with a URL has a pool");
  const db = readOnly(pool, timeoutMs);
  try {
    const gap = await withinDeadline(() => migrationGap(db, migrationsDirectory), timeoutMs);
    return { facts: [{ kind: "schema", ...gap }], server: { db }, store: storeWith(db, gap) };
  } catch (error) {
    const dataDir = config.databaseUrl === null ? config.dataDir : null;
    const state = sqlState(error) ?? "";
    const fact = {
      kind: "unreachable-database",
      reason: errorText(error),
      sqlState: state,
      dataDir,
    } as const;
    return { facts: [fact], server: away, store: away };
  }
}

function storeWith(db: Database, { pending, unknown, applied }: Omit<SchemaFact, "kind">): Store {
  if (unknown.length > 0) return { unreadable: "the schema is of a newer version" };
  if (pending.length === 0) return { db };
  if (applied === 0) return { unreadable: "the database is empty" };
  return { unreadable: `the schema is behind by ${counted(pending.length, "migration")}` };
}

/** Many readings need topics, so they are read first. The reading of topics reports a failure. */
async function readTopics({ timeoutMs }: Patient, store: Store): Promise<HeardTopic[] | Error> {
  if ("unreadable" in store) return [];
  return withinDeadline(() => listHeardTopics(store.db), timeoutMs).catch((error) =>
    error instanceof Error ? error : new Error(String(error)),
  );
}

/** The topics that are allow-listed, in the database or in the environment. */
export function topicArns({ config }: Pick<Patient, "config">, { topics }: Stored): string[] {
  const stored = topics instanceof Error ? [] : topics.map(({ arn }) => arn);
  return [...new Set([...config.topicArns, ...stored.filter(isTopic)])];
}

/** The table also has SQS queues, which stand for raw messages, and the topic of `fanmail trigger`. */
export function isTopic(arn: string): boolean {
  return parseArn(arn).service === "sns" && arn !== triggerTopic;
}

export function databaseReadings(patient: Patient, { server, store }: Stored, now: Date) {
  const { config, clock } = patient;
  const settings = once(() => ("db" in server ? timedSettings(server.db, clock) : Promise.resolve(null)));
  return {
    server: reading(server, "database", "the server", () => serverFacts(settings, config)),
    tables: reading(store, "database", "its tables", (db) => tablesFacts(db, now)),
    clock: reading(server, "clock", "the database's clock", () => clockFacts(settings)),
  };
}

/** A reading that is skipped while the database cannot be read. */
export function reading<Fact>(
  store: Store,
  area: Area,
  subject: string,
  read: (db: Database) => Promise<Fact[]> | Fact[],
): Reading<Fact | UnaskedFact> {
  if ("db" in store) return { area, subject, read: () => read(store.db) };
  return { area, subject, read: () => [{ kind: "unasked", area, subject, reason: store.unreadable }] };
}

type TimedSettings = { settings: ServerSettings; askedAt: Date; answeredAt: Date } | null;

async function timedSettings(db: Database, clock: Clock): Promise<TimedSettings> {
  const askedAt = clock.now();
  const settings = await serverSettings(db);
  return settings && { settings, askedAt, answeredAt: clock.now() };
}

async function serverFacts(timed: () => Promise<TimedSettings>, config: Config): Promise<ServerFact[]> {
  const { settings } = (await timed()) ?? {};
  if (settings === undefined) return [];
  const { databaseConnections } = await chooseBackend(config.redisUrls);
  const needed_connections = connectionsOfProcess + databaseConnections;
  return [{ kind: "server", ...settings, needed_connections, disk: await diskOf(config) }];
}

async function diskOf({ databaseUrl, dataDir }: Config): Promise<ServerFact["disk"]> {
  if (databaseUrl !== null) return null;
  const { bavail, bsize } = await statfs(dataDir);
  return { dataDir, freeBytes: bavail * bsize };
}

async function clockFacts(timed: () => Promise<TimedSettings>): Promise<ClockFact[]> {
  const answer = await timed();
  if (answer === null) return [];
  return [clockFact("the database's", answer.settings.now.getTime(), 0, answer)];
}

/** @param theirMs the other clock's time between `askedAt` and `answeredAt`. @param blurMs how far that may be off. */
export function clockFact(
  whose: string,
  theirMs: number,
  blurMs: number,
  { askedAt, answeredAt }: { askedAt: Date; answeredAt: Date },
): ClockFact {
  const [before, after] = [askedAt.getTime(), answeredAt.getTime()];
  const aheadMs = (before + after) / 2 - theirMs;
  return { kind: "clock", whose, aheadMs, uncertaintyMs: blurMs + (after - before) / 2 };
}

async function tablesFacts(db: Database, now: Date): Promise<TablesFact[]> {
  const [lackingPrivileges, canMake, names] = await Promise.all([
    missingPrivileges(db),
    canMakePartitions(db),
    partitionNames(db),
  ]);
  const needed = partitionsFor([now, new Date(now.getTime() + dayMs)]);
  const missingPartitions = needed.filter((name) => !names.includes(name));
  return [{ kind: "tables", lackingPrivileges, canMakePartitions: canMake, missingPartitions }];
}
