import type { Dispatcher } from "undici";
import { type Clock, systemClock } from "../../clock.ts";
import type { Config } from "../../config.ts";
import { hasEncryptionKeys, readEncryptionKeys } from "../../data-dir.ts";
import { attachEmbeddedPostgres, isDatabaseIn } from "../../embedded/embedded-postgres.ts";
import { errorText } from "../../logger.ts";
import { awsConnections } from "../../receive/aws-documents.ts";

/** The service that is examined, and what it is examined with. */
export type Patient = {
  config: Config;
  clock: Clock;
  /** Reaches AWS as the service does. */
  dispatcher: Dispatcher;
  database: { url: string } | PlacelessDatabaseFact;
  encryptionKeys: KnownKeys;
  /** For each reading. */
  timeoutMs: number;
  /** The configuration set to look at in SES; null for all. */
  configurationSet: string | null;
};

/** The keys that decrypt the secrets of endpoints; null when there is none yet. */
type KnownKeys = readonly Buffer[] | UnreadableKeysFact | null;

export type UnreadableKeysFact = { kind: "unreadable-keys"; reason: string };

/** There is no database to connect to. @property demoDir where the demonstration has one; null when it has none. */
export type PlacelessDatabaseFact =
  | { kind: "no-database"; dataDir: string; demoDir: string | null }
  | { kind: "embedded-database-broken"; dataDir: string; reason: string };

export type ExamineOptions = Pick<Patient, "timeoutMs" | "configurationSet"> & { demoDir: string };

/** Starts the embedded database if needed, and stops it after `examine` if it was started here. */
export async function withPatient<Result>(
  config: Config,
  { demoDir, ...options }: ExamineOptions,
  examine: (patient: Patient) => Promise<Result>,
): Promise<Result> {
  const { database, stop } = await databaseOf(config, demoDir);
  const aws = awsConnections();
  try {
    const dispatcher = await aws.dispatcher();
    const encryptionKeys = await keysOf(config);
    return await examine({ config, clock: systemClock, dispatcher, database, encryptionKeys, ...options });
  } finally {
    await Promise.all([aws.destroy(), stop()]);
  }
}

type Served = { database: Patient["database"]; stop: () => Promise<void> };

async function databaseOf({ databaseUrl, dataDir }: Config, demoDir: string): Promise<Served> {
  const stop = async () => {};
  if (databaseUrl !== null) return { database: { url: databaseUrl }, stop };
  try {
    if (!(await isDatabaseIn(dataDir))) {
      const hasDemo = await isDatabaseIn(demoDir);
      return { database: { kind: "no-database", dataDir, demoDir: hasDemo ? demoDir : null }, stop };
    }
    const server = await attachEmbeddedPostgres({ dataDir });
    return { database: { url: server.url }, stop: server.stop };
  } catch (error) {
    return { database: { kind: "embedded-database-broken", dataDir, reason: errorText(error) }, stop };
  }
}

/** The existing keys. `readEncryptionKeys` creates them where there are none, and doctor must not. */
async function keysOf({ encryptionKey, encryptionKeysPrevious, dataDir }: Config): Promise<KnownKeys> {
  if (encryptionKey !== null) return [encryptionKey, ...encryptionKeysPrevious];
  if (!hasEncryptionKeys(dataDir)) return null;
  try {
    return await readEncryptionKeys(dataDir);
  } catch (error) {
    return { kind: "unreadable-keys", reason: errorText(error) };
  }
}
