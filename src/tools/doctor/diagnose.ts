import { setTimeout as sleep } from "node:timers/promises";
import { type AwsClients, awsClients, hasCredentials } from "../../aws/clients.ts";
import { errorText } from "../../logger.ts";
import { type DatabasePool, openDatabase } from "../../storage/database.ts";
import { type HeardTopic, listHeardTopics } from "../../storage/topics.ts";
import { awsChecks } from "./aws-checks.ts";
import { areas, type Finding, type Patient, runCheck, type Store, withinDeadline } from "./check.ts";
import { lookAtSchema, unreachableDatabase } from "./database.ts";
import { readOnly } from "./health.sql.ts";
import { ownChecks } from "./own-checks.ts";

/** How long credentials may take: a machine outside AWS would else wait for a metadata service that is not there. */
const credentialsMs = 2_000;
const closeMs = 1_000;

/** Looks at everything that a notification and a webhook pass. It changes nothing, and what hangs costs its deadline alone. */
export async function diagnose(patient: Patient): Promise<Finding[]> {
  const { database } = patient;
  const pool = "url" in database ? openDatabase(database.url, { maxConnections: 5, onIdleError() {} }) : null;
  const clients = new Map<string | null, AwsClients>();
  try {
    const opened = await openStore(patient, pool);
    const credentials = findCredentials(patient);
    const topics = await readTopics(patient, opened.store);
    const all = { ...opened, topics };
    const checks = [
      ...ownChecks(patient, all),
      ...awsChecks(patient, all, await credentials, (region) => clientsOf(clients, patient, region)),
    ];
    const results = await Promise.all(checks.map((check) => runCheck(check, patient.timeoutMs)));
    return [...opened.findings, ...results.flat()].sort(inOrder);
  } finally {
    for (const client of [...clients.values()].flatMap((all) => Object.values(all))) client.destroy();
    if (pool !== null) await closeSoon(pool);
  }
}

/** A query that hangs would keep what has been seen from being told. */
async function closeSoon(pool: DatabasePool): Promise<void> {
  await Promise.race([pool.close(), sleep(closeMs, undefined, { ref: false })]);
}

/** The database as far as it can be read. `server` answers; `store` has the tables of this version too. */
type Opened = { findings: Finding[]; server: Store; store: Store };

async function openStore(patient: Patient, pool: DatabasePool | null): Promise<Opened> {
  const { database, timeoutMs } = patient;
  const away = { unreadable: "the database is away" };
  if ("trouble" in database) {
    const { trouble } = database;
    const none = trouble.status === "next" ? { unreadable: "there is no database yet" } : away;
    return { findings: [{ area: "database", ...trouble }], server: none, store: none };
  }
  if (pool === null) throw new Error("unreachable: a database with a URL has a pool");
  const db = readOnly(pool, timeoutMs);
  try {
    const { observations, unreadable } = await withinDeadline(() => lookAtSchema(db), timeoutMs);
    const findings = observations.map((seen): Finding => ({ area: "database", ...seen }));
    return { findings, server: { db }, store: unreadable === null ? { db } : { unreadable } };
  } catch (error) {
    const seen = unreachableDatabase(error, patient);
    return { findings: [{ area: "database", ...seen }], server: away, store: away };
  }
}

/** Topics are needed by many checks, so that they are read before these. The check of topics tells when that fails. */
async function readTopics({ timeoutMs }: Patient, store: Store): Promise<HeardTopic[] | Error> {
  if ("unreadable" in store) return [];
  return withinDeadline(() => listHeardTopics(store.db), timeoutMs).catch((error) =>
    error instanceof Error ? error : new Error(String(error)),
  );
}

/** @returns why AWS cannot be asked; null when there are credentials. */
async function findCredentials({ config, timeoutMs }: Patient): Promise<string | null> {
  const settings = { region: config.awsRegion ?? "us-east-1", endpointUrl: config.awsEndpointUrl };
  const clients = awsClients(settings);
  try {
    const isFound = await withinDeadline(() => hasCredentials(clients), Math.min(credentialsMs, timeoutMs));
    return isFound ? null : "there are no AWS credentials";
  } catch (error) {
    return `AWS credentials cannot be had: ${errorText(error)}`;
  } finally {
    for (const client of Object.values(clients)) client.destroy();
  }
}

function clientsOf(
  known: Map<string | null, AwsClients>,
  { config }: Patient,
  region: string | null,
): AwsClients {
  const clients = known.get(region) ?? awsClients({ region, endpointUrl: config.awsEndpointUrl });
  known.set(region, clients);
  return clients;
}

function inOrder(one: Finding, other: Finding): number {
  return rank(one) - rank(other);
}

/** What comes next stands before everything else. */
function rank({ area, status }: Finding): number {
  return status === "next" ? -1 : areas.indexOf(area);
}
