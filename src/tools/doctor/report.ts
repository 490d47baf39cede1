import { setTimeout as sleep } from "node:timers/promises";
import { type AwsClients, awsClients } from "../../aws/clients.ts";
import { type DatabasePool, openDatabase } from "../../storage/database.ts";
import { openStored } from "./facts-database.ts";
import { ownReadings } from "./facts-own.ts";
import { areas, type Finding, inOrder } from "./finding.ts";
import type { Patient } from "./patient.ts";
import { type Reading, take } from "./reading.ts";
import { awsReadings, findCredentials } from "./readings-aws.ts";
import type { SystemFact } from "./rules/rule.ts";
import { judge } from "./rules/table.ts";

const closeMs = 1_000;

/**
 * Checks everything that a notification and a webhook pass through. It changes nothing, and a reading that hangs only
 * costs its own deadline.
 */
export async function examine(patient: Patient): Promise<Finding[]> {
  const { encryptionKeys } = patient;
  const unreadable = encryptionKeys !== null && "kind" in encryptionKeys ? [encryptionKeys] : [];
  return [...judge(unreadable), ...inOrder(judge(await readFacts(patient)))];
}

/** When the environment is wrong nothing else is looked at: where to look would be a guess. */
export function misconfigured(problems: readonly string[]): Finding[] {
  const others = areas.filter((area) => area !== "configuration");
  const reason = "the configuration is wrong";
  return judge([
    ...problems.map((problem): SystemFact => ({ kind: "misconfigured", problem })),
    ...others.map((area): SystemFact => ({ kind: "unasked", area, subject: "it", reason })),
  ]);
}

async function readFacts(patient: Patient): Promise<SystemFact[]> {
  const { config, database, timeoutMs } = patient;
  const pool = "url" in database ? openDatabase(database.url, { maxConnections: 5, onIdleError() {} }) : null;
  const clients = new Map<string, AwsClients>();
  function clientsOf(region: string): AwsClients {
    const known = clients.get(region) ?? awsClients({ region, endpointUrl: config.awsEndpointUrl });
    clients.set(region, known);
    return known;
  }
  try {
    const credentials = findCredentials(patient);
    const { facts, stored } = await openStored(patient, pool);
    const readings: Reading<SystemFact>[] = [
      ...(await ownReadings(patient, stored)),
      ...awsReadings(patient, stored, await credentials, clientsOf),
    ];
    const taken = await Promise.all(readings.map((reading) => take(reading, timeoutMs)));
    return [...facts, ...taken.flat()];
  } finally {
    for (const client of [...clients.values()].flatMap((all) => Object.values(all))) client.destroy();
    if (pool !== null) await closeSoon(pool);
  }
}

/** A query that hangs must not delay the report. */
async function closeSoon(pool: DatabasePool): Promise<void> {
  await Promise.race([pool.close(), sleep(closeMs, undefined, { ref: false })]);
}
