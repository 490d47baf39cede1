import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { type Config, ConfigError } from "../config.ts";
import { readEncryptionKeys } from "../data-dir.ts";
import { diagnose } from "../doctor/diagnose.ts";
import { areas, type Finding, fail, overall, skipped } from "../doctor/finding.ts";
import type { Patient } from "../doctor/patient.ts";
import { ended } from "../doctor/wording.ts";
import { attachEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { hasDatabase, locate } from "../embedded/place.ts";
import { errorText } from "../logger.ts";
import { awsDispatcher } from "../sns/dispatcher.ts";
import { type Command, environmentConfig, print, printJson, readArgs, UsageError } from "./command.ts";

export const doctor: Command = {
  help: [
    "fanmail doctor [--json] [--configuration-set name] [--timeout 5]",
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
    const { values, positionals } = readArgs(args, {
      json: { type: "boolean", default: false },
      "configuration-set": { type: "string" },
      timeout: { type: "string", default: "5" },
    });
    if (positionals.length > 0) throw new UsageError(`Unknown argument: ${positionals.join(" ")}`);
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
    if (!(await hasEmbeddedDatabase(dataDir))) {
      const remedy = "Start the service once (fanmail start), or set DATABASE_URL.";
      return { database: { trouble: `There is no database in ${dataDir} yet.`, remedy }, stop };
    }
    const server = await attachEmbeddedPostgres({ dataDir });
    return { database: { url: server.url }, stop: server.stop };
  } catch (error) {
    const trouble = `The embedded database in ${dataDir} cannot be used: ${ended(errorText(error))}`;
    return { database: { trouble, remedy: `See postgres.log in ${join(dataDir, "postgres")}.` }, stop };
  }
}

/** To attach where there is none would make one. */
async function hasEmbeddedDatabase(dataDir: string): Promise<boolean> {
  return existsSync(dataDir) && hasDatabase(await locate(dataDir, () => {}));
}

/** The keys that are there; to read the generated ones would make them. */
async function keysOf(config: Config): Promise<{ keys: Buffer[] | null; findings: Finding[] }> {
  const { encryptionKey, encryptionKeysPrevious, dataDir } = config;
  if (encryptionKey !== null) return { keys: [encryptionKey, ...encryptionKeysPrevious], findings: [] };
  if (!existsSync(join(dataDir, "encryption.key"))) return { keys: null, findings: [] };
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

const labels: Record<Finding["status"], string> = { ok: "ok", warn: "warn", fail: "fail", skipped: "skip" };

function report(findings: readonly Finding[]): void {
  const width = Math.max(...areas.map((area) => area.length));
  for (const { area, status, what, remedy } of findings) {
    print(`${labels[status].padEnd(4)}  ${area.padEnd(width)}  ${what}`);
    if (remedy !== undefined) print(`${" ".repeat(width + 8)}→ ${remedy}`);
  }
  const count = (status: Finding["status"]) => findings.filter((one) => one.status === status).length;
  print();
  print(
    `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed, ${count("skipped")} skipped.`,
  );
}

/** What a check has left under way at its deadline must not keep the process. */
function leaveBehind(code: number): void {
  setTimeout(() => process.exit(code), 500).unref();
}
