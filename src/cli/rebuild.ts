import type { StoreContext } from "../context.ts";
import { estimateJournal } from "../storage/journal-walk.ts";
import type { DifferingActivity } from "../tools/rebuild/compare-activities.ts";
import { openRebuild, type Rebuild, type RebuildOptions, runRebuild } from "../tools/rebuild/rebuild.ts";
import { type Command, print, readOptions, readTimeOption, UsageError } from "./command.ts";
import { progressBar } from "./progress.ts";
import { stopRequest } from "./until-stopped.ts";
import { projectNamed, withStore } from "./with-store.ts";

const defaultRate = 2_000;

export const rebuild: Command = {
  help: [
    "npx fanmail rebuild [--project name] [--since 2026-11-01[T10:00:00Z]] [--dry-run] [--rate 2000] [--restart] [--json]",
    "",
    "Recomputes every email's activity from the notifications in the journal, by the rules of this version and of the",
    "project, and prints the differences to the stored activity. Events older than the journal are kept and counted. It",
    "can run while new events arrive.",
    "",
    "--dry-run  changes nothing",
    "--since    only emails with notifications since then; without it, all",
    `--rate     at most so many notifications, and then emails, per second (${defaultRate}; 0: no limit)`,
    "--restart  starts from the beginning. Otherwise a rebuild that was interrupted in the last 24 hours continues",
    "",
    "Changes send no webhooks, and suppressions stay as they are.",
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, {
      project: { type: "string" },
      since: { type: "string" },
      "dry-run": { type: "boolean", default: false },
      rate: { type: "string", default: String(defaultRate) },
      restart: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
    });
    const since = readTimeOption("--since", values.since);
    const perSecond = readRate(values.rate);
    const stop = stopRequest();
    const options = { since, perSecond, isDryRun: values["dry-run"], stop };
    const ended = await withStore(async (store) => {
      const project = values.project === undefined ? null : await projectNamed(store, values.project);
      const full = { ...options, projectId: project?.id ?? null };
      return run(store, full, { isRestart: values.restart, isJson: values.json });
    });
    return ended.phase === "finished" ? 0 : 1;
  },
};

async function run(
  store: StoreContext,
  options: RebuildOptions,
  { isRestart, isJson }: { isRestart: boolean; isJson: boolean },
): Promise<Rebuild> {
  const opened = await openRebuild(store, options, isRestart);
  if (opened.steps > 0) {
    const began = `the rebuild that started at ${opened.started_at.toISOString()}`;
    process.stderr.write(`Continuing ${began}, after ${counts(opened)}.\n`);
  }
  const bar = progressBar("reading", await estimateJournal(store.db, options.since));
  const ended = await runRebuild(store, opened, options, {
    onChange: isJson ? printJsonLine : printChange,
    onStep({ phase, notification_count }) {
      if (phase === "reading") bar.update(notification_count, `${notification_count} notifications`);
      else bar.stop();
    },
  });
  bar.stop();
  report(ended, isJson);
  return ended;
}

function report(ended: Rebuild, isJson: boolean): void {
  const { phase, dry_run, notification_count, activity_count, change_count } = ended;
  if (isJson) {
    print(
      JSON.stringify({
        finished: phase === "finished",
        dry_run,
        notification_count,
        activity_count,
        change_count,
      }),
    );
    return;
  }
  const verb = dry_run ? "would change" : "changed";
  const soFar = phase === "finished" ? "" : " so far";
  print(`${counts(ended)}; ${change_count === 0 ? "nothing" : change_count} ${verb}${soFar}.`);
  if (soFar) process.stderr.write("Interrupted; run the same command to continue.\n");
}

function counts({ notification_count, activity_count }: Rebuild): string {
  return `${notification_count} notifications read, ${activity_count} activities compared`;
}

function printChange({ key, name, rebuilt }: DifferingActivity): void {
  print(`${key.id}  (message ${name.message_id})`);
  for (const { field, stored, rebuilt: now } of rebuilt.differences) {
    print(`  ${field}: ${shown(stored)} → ${shown(now)}`);
  }
}

function printJsonLine({ key, name, rebuilt }: DifferingActivity): void {
  const { project_id, id } = key;
  print(JSON.stringify({ project_id, id, message_id: name.message_id, differences: rebuilt.differences }));
}

function shown(value: unknown): string {
  if (value === null) return "–";
  if (value instanceof Date) return value.toISOString();
  return typeof value === "string" ? value : JSON.stringify(value);
}

function readRate(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new UsageError(`--rate must be a whole number, not "${text}"`);
  return Number(text);
}
