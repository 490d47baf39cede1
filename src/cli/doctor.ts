import { type Config, ConfigError } from "../config.ts";
import { databaseName } from "../context.ts";
import { areas, type Finding, overall } from "../tools/doctor/finding.ts";
import { withPatient } from "../tools/doctor/patient.ts";
import { examine, misconfigured } from "../tools/doctor/report.ts";
import { type Command, environmentConfig, print, printJson, readOptions, UsageError } from "./command.ts";
import { demoDirectory, tellDatabase } from "./with-store.ts";

export const doctor: Command = {
  help: [
    "npx fanmail doctor [--json] [--configuration-set name] [--timeout 5]",
    "",
    "Checks everything that a notification and a webhook pass through, and says what is wrong and how to fix it.",
    "It changes nothing. Run it with the environment of the service, whether that runs or not; the embedded database",
    "is started if needed. With AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID, a role) it also reads topics,",
    "subscriptions, configuration sets and SQS queues.",
    "",
    "--configuration-set  check only this one in SES; faster where there are many",
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
    const findings = await findingsOf(timeoutMs, values["configuration-set"] ?? null);
    if (values.json) printJson({ status: overall(findings), checks: findings.map(asJson) });
    else printFindings(findings);
    return overall(findings) === "fail" ? 1 : 0;
  },
};

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= 600) return seconds;
  throw new UsageError("--timeout takes a number of seconds above 0, and 600 at most");
}

async function findingsOf(timeoutMs: number, configurationSet: string | null): Promise<Finding[]> {
  let config: Config;
  try {
    config = environmentConfig();
  } catch (error) {
    if (error instanceof ConfigError) return misconfigured(error.problems);
    throw error;
  }
  tellDatabase(databaseName(config));
  const demoDir = demoDirectory(config.dataDir);
  return withPatient(config, { timeoutMs, configurationSet, demoDir }, examine);
}

/** A finding in `--json`. */
function asJson({ area, level, what, remedy }: Finding): object {
  return { area, status: level, what, remedy };
}

const labels: Record<Finding["level"], string> = {
  ok: "ok",
  next: "next",
  warn: "warn",
  fail: "fail",
  skipped: "skip",
};

function printFindings(findings: readonly Finding[]): void {
  const width = Math.max(...areas.map((area) => area.length));
  for (const { area, level, what, remedy } of findings) {
    print(`${labels[level].padEnd(4)}  ${area.padEnd(width)}  ${what}`);
    if (remedy !== undefined) print(`${" ".repeat(width + 8)}→ ${remedy}`);
  }
  const count = (level: Finding["level"]) => findings.filter((one) => one.level === level).length;
  const begun = count("next") === 0 ? "" : `, ${count("next")} to begin with`;
  print();
  print(
    `${count("ok")} ok${begun}, ${count("warn")} to look at, ${count("fail")} failed, ${count("skipped")} skipped.`,
  );
}
