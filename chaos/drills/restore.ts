import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../../bench/corpus/random.ts";
import { topicArn } from "../../bench/corpus/sign.ts";
import { oneDecimal } from "../../bench/measure.ts";
import { type DatabasePool, openDatabase } from "../../src/storage/database.ts";
import { localSigner } from "../../src/tools/captures/local-signer.ts";
import { checkEmails } from "../check/emails.ts";
import type { FindingKind, Findings } from "../check/findings.ts";
import { settle } from "../check/settle.ts";
import { checkWebhooks } from "../check/webhooks.ts";
import { checkWriters } from "../check/writers.ts";
import { openApi } from "../load/api.ts";
import type { Afterwards } from "../run.ts";
import type { Stage, StagedService } from "../stage/stage.ts";
import type { Traffic } from "../traffic.ts";
import { compareRows, type Rows, tablesOf } from "./compare-rows.ts";
import { commandsDirectory, runFanmail, runPostgres } from "./programs.ts";

type Figures = Record<string, number | string>;

/**
 * Restores what a run has left in both ways that docs/operations.md has: from `pg_dump`, and from a capture of the journal.
 * @param hasDump whether the stage's PostgreSQL brings `pg_dump`.
 */
export function restoring(hasDump: boolean): Afterwards {
  return async (stage, traffic, findings) => {
    await Promise.all(stage.services.map((service) => service.end()));
    const fromDump: Figures = hasDump
      ? await restoreDump(stage, traffic, findings)
      : { pg_dump: "skipped: no PostgreSQL with pg_dump is installed" };
    return { ...fromDump, ...(await restoreCapture(stage, findings)) };
  };
}

/** As docs/operations.md has it, then compared with the original and with the ledgers. */
async function restoreDump(stage: Stage, traffic: Traffic, all: Findings): Promise<Figures> {
  const findings = prefixed("restored from pg_dump", all);
  const { postgres, directory } = stage;
  const file = join(directory, "fanmail.dump");
  const url = (database: string) => `--dbname=${postgres.urlAt(postgres.port, database)}`;
  const dumpArgs = ["--format=custom", "--exclude-schema=bullmq", `--file=${file}`, url("fanmail")];
  const dumped = await runPostgres(stage, "pg_dump", dumpArgs);
  await postgres.createDatabase("restored");
  const restored = await runPostgres(stage, "pg_restore", ["--exit-on-error", url("restored"), file]);
  return withDatabase(stage, "restored", async (copy) => {
    let rows = 0;
    const tables = await tablesOf(stage.db);
    for (const table of tables) rows += await compareRows(stage.db, copy, { table, except: [] }, findings);
    await checkLedgers(stage, copy, traffic, findings);
    const rebuilt = await runFanmail(stage, "restored", ["rebuild", "--dry-run", "--rate", "0"]);
    if (!/; nothing would change/.test(rebuilt.output))
      findings.add("differs", `rebuild --dry-run: ${rebuilt.output.slice(-500)}`);
    return {
      "pg_dump, s": oneDecimal(dumped.seconds),
      "the dump, MB": megabytes((await stat(file)).size),
      "pg_restore, s": oneDecimal(restored.seconds),
      "tables compared": tables.length,
      "rows compared": rows,
    };
  });
}

async function checkLedgers(stage: Stage, copy: DatabasePool, traffic: Traffic, findings: Findings) {
  const { load, sink, writers } = traffic;
  const services = await stage.serve("restored");
  // Whatever a restored database still owes would be posted now.
  await sleep(2_000);
  await checkEmails(copy, load.messages, new Set(writers.ledger.erased), findings);
  const webhooks = { arrivals: sink.arrivals, endpoints: writers.ledger.endpoints, faults: [] };
  await checkWebhooks(copy, webhooks, findings);
  const stop = new AbortController();
  const api = openApi(portsOf(services), stage.key, seededRandom(1), stop.signal);
  await checkWriters(copy, api, writers.ledger, findings);
  stop.abort();
  await api.close();
  await Promise.all(services.map((service) => service.end()));
}

/** What follows from the journal: custom events and what is decided by hand are not part of a capture, nor are erased people. */
const isPerson = "not like '%@erased.invalid'";
const owners = `(select id from activity where recipient ${isPerson})`;
const captured: readonly Rows[] = [
  { table: "activity", except: ["created_at", "updated_at"], where: `recipient ${isPerson}` },
  {
    table: "events",
    // Whether an event counted before a later arrival depends on the order of arrivals.
    except: ["created_at", "detail.reclassified"],
    where: `type <> 'custom' and owner_id in ${owners}`,
  },
  { table: "suppressions", except: ["created_at"] },
];

/** Into an empty database, through a receiver and a worker. */
async function restoreCapture(stage: Stage, all: Findings): Promise<Figures> {
  const findings = prefixed("replayed from a capture", all);
  const file = join(stage.directory, "journal.ndjson.gz");
  const capture = await runFanmail(stage, "fanmail", ["capture", "--out", file, "--json"]);
  await stage.postgres.createDatabase("replayed");
  const services = await stage.serve("replayed", await trustingReplay(stage));
  const to = `http://127.0.0.1:${portsOf(services)[0]}/ingest/sns`;
  const replay = await runFanmail(stage, "replayed", ["replay", file, "--to", to, "--json"]);
  if (replay.code !== 0) findings.add("conduct", replay.output);
  return withDatabase(stage, "replayed", async (copy) => {
    await settle(copy, () => 0, 120, findings);
    let rows = 0;
    for (const one of captured) rows += await compareRows(stage.db, copy, one, findings);
    return {
      "capture, s": oneDecimal(capture.seconds),
      "the capture, MB": megabytes((await stat(file)).size),
      "replay, s": oneDecimal(replay.seconds),
      "rows compared with the replay": rows,
    };
  });
}

/** Erasing a person takes the signature from the notifications that named the person, and replay signs them with its own key. */
async function trustingReplay(stage: Stage): Promise<Record<string, string>> {
  const { certificateUrl, certificatePath } = await localSigner(commandsDirectory(stage));
  const both = [stage.environment["SNS_LOCAL_CERTS"], `${certificateUrl(topicArn)}=${certificatePath}`];
  return { SNS_LOCAL_CERTS: both.join(",") };
}

function portsOf(services: readonly StagedService[]): number[] {
  return services.flatMap(({ toPort }) => (toPort ? [toPort.port] : []));
}

async function withDatabase<Result>(
  { postgres }: Stage,
  name: string,
  work: (db: DatabasePool) => Promise<Result>,
): Promise<Result> {
  const url = postgres.urlAt(postgres.port, name);
  const db = openDatabase(url, { maxConnections: 2, onIdleError: () => {} });
  try {
    return await work(db);
  } finally {
    await db.close();
  }
}

function prefixed(prefix: string, findings: Findings): Findings {
  const add = (kind: FindingKind, what: string) => findings.add(kind, `${prefix}: ${what}`);
  return { ...findings, add };
}

function megabytes(bytes: number): number {
  return oneDecimal(bytes / 1e6);
}
