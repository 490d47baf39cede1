import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { type Config, ConfigError } from "../config.ts";
import { databaseName } from "../context.ts";
import { hasEncryptionKeys, readEncryptionKeys } from "../data-dir.ts";
import { attachEmbeddedPostgres, isDatabaseIn } from "../embedded/embedded-postgres.ts";
import { errorText } from "../logger.ts";
import { awsDispatcher } from "../receive/aws-documents.ts";
import {
  areas,
  type Finding,
  fail,
  next,
  type Observation,
  overall,
  type Patient,
  skipped,
} from "../tools/doctor/check.ts";
import { diagnose } from "../tools/doctor/diagnose.ts";
import { ended } from "../tools/doctor/wording.ts";
import { type Command, environmentConfig, print, printJson, readOptions, UsageError } from "./command.ts";
import { demoDirectory, tellDatabase } from "./with-store.ts";

export const doctor: Command = {
  help: [
    "npx fanmail doctor [--json] [--configuration-set name] [--timeout 5]",
    "",
    "Looks at everything that a notification and a webhook pass, and says what is wrong and how to mend it.",
    "It changes nothing. Run it with the environment of the service, beside it or while it is down; the embedded",
    "database is started for it when need be. With AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, a role) it also",
    "reads topics, subscriptions, configuration sets and queues.",
    "",
    "--configuration-set  look at this one alone in SES; it goes faster where there are many",
    "--timeout            seconds for each check",
    "",
    "The exit code is 1 when a check failed; warnings alone leave it 0.",
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, {
      json: { type: "boolean", default: false },
      "configuration-set": { type: "string" },
      timeout: { type: "string", default: "5" },
    });
    const timeoutMs = readSeconds(values.timeout) * 1000;
    const findings = await examine(timeoutMs, values["configuration-set"] ?? null);
    if (values.json) printJson({ status: overall(findings), checks: findings });
    else report(findings);
    const code = overall(findings) === "fail" ? 1 : 0;
    leaveBehind(code);
    return code;
  },
};

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 600) return seconds;
  throw new UsageError("--timeout takes a number of seconds above 0, and 600 at most");
}

async function examine(timeoutMs: number, configurationSet: string | null): Promise<Finding[]> {
  let config: Config;
  try {
    config = environmentConfig();
  } catch (error) {
    if (error instanceof ConfigError) return misconfigured(error);
    throw error;
  }
  tellDatabase(databaseName(config));
  const { database, stop } = await databaseOf(config);
  const dispatcher = awsDispatcher();
  try {
    const { keys: encryptionKeys, findings } = await keysOf(config);
    const patient = { config, clock: systemClock, dispatcher, database, encryptionKeys, timeoutMs };
    return [...findings, ...(await diagnose({ ...patient, configurationSet }))];
  } finally {
    await Promise.all([dispatcher.destroy(), stop()]);
  }
}

/** Nothing else can be looked at: where it is would be a guess. */
function misconfigured({ problems }: ConfigError): Finding[] {
  const wrong = problems.map((problem): Finding => {
    const seen = fail(`${problem}.`, "Correct the variable in the environment of fanmail, or unset it.");
    return { area: "configuration", ...seen };
  });
  const others = areas.filter((area) => area !== "configuration");
  const seen = skipped("Doctor did not look at it: the configuration is wrong.");
  return [...wrong, ...others.map((area): Finding => ({ area, ...seen }))];
}

type Served = { database: Patient["database"]; stop: () => Promise<void> };

async function databaseOf({ databaseUrl, dataDir }: Config): Promise<Served> {
  const stop = async () => {};
  if (databaseUrl !== null) return { database: { url: databaseUrl }, stop };
  try {
    if (!(await isDatabaseIn(dataDir))) {
      return { database: { trouble: await beginning(dataDir) }, stop };
    }
    const server = await attachEmbeddedPostgres({ dataDir });
    return { database: { url: server.url }, stop: server.stop };
  } catch (error) {
    const what = `The embedded database in ${dataDir} cannot be used: ${ended(errorText(error))}`;
    const trouble = fail(what, `See postgres.log in ${join(dataDir, "postgres")}.`);
    return { database: { trouble }, stop };
  }
}

async function beginning(dataDir: string): Promise<Observation> {
  const demoDir = demoDirectory(dataDir);
  const other = (await isDatabaseIn(demoDir))
    ? `to look at the demonstration, set DATA_DIR=${demoDir}`
    : "to see it work first: npx fanmail demo";
  const remedy = `Start the service: npx fanmail start (set DATABASE_URL for a PostgreSQL of your own); ${other}.`;
  return next(`There is no database in ${dataDir} yet.`, remedy);
}

/** The keys that are there; to read the generated ones would make them. */
async function keysOf(config: Config): Promise<{ keys: Buffer[] | null; findings: Finding[] }> {
  const { encryptionKey, encryptionKeysPrevious, dataDir } = config;
  if (encryptionKey !== null) return { keys: [encryptionKey, ...encryptionKeysPrevious], findings: [] };
  if (!hasEncryptionKeys(dataDir)) return { keys: null, findings: [] };
  try {
    return { keys: await readEncryptionKeys(dataDir), findings: [] };
  } catch (error) {
    const seen = fail(
      `The encryption key cannot be read: ${ended(errorText(error))}`,
      "Restore it from a backup.",
    );
    return { keys: null, findings: [{ area: "configuration", ...seen }] };
  }
}

const labels: Record<Finding["status"], string> = {
  ok: "ok",
  next: "next",
  warn: "warn",
  fail: "fail",
  skipped: "skip",
};

function report(findings: readonly Finding[]): void {
  const width = Math.max(...areas.map((area) => area.length));
  for (const { area, status, what, remedy } of findings) {
    print(`${labels[status].padEnd(4)}  ${area.padEnd(width)}  ${what}`);
    if (remedy !== undefined) print(`${" ".repeat(width + 8)}→ ${remedy}`);
  }
  const count = (status: Finding["status"]) => findings.filter((one) => one.status === status).length;
  const begun = count("next") === 0 ? "" : `, ${count("next")} to begin with`;
  print();
  print(
    `${count("ok")} ok${begun}, ${count("warn")} to look at, ${count("fail")} failed, ${count("skipped")} skipped.`,
  );
}

/** What a check has left under way at its deadline must not keep the process. */
function leaveBehind(code: number): void {
  setTimeout(() => process.exit(code), 500).unref();
}
