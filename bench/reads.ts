import { print, readArgs, UsageError } from "../src/cli/command.ts";
import { defaultProjectId } from "../src/storage/projects.ts";
import { apiClient } from "./api-client.ts";
import { insertEmails, type Mailing } from "./emails.ts";
import { timed } from "./measure.ts";
import { compareAnswers } from "./read-answers.ts";
import { compareCsv } from "./read-csv.ts";
import { onStage, type Stage } from "./stage.ts";

const fewestRows = 10_000;

/** Reads from many emails: all responses take equally long, and CSV of all rows takes no more memory than of a tenth. */
export async function reads(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = readArgs(args, { rows: { type: "string", default: "1000000" } });
  const emails = Number(values.rows);
  if (!Number.isInteger(emails) || emails < fewestRows)
    throw new UsageError(`--rows takes a number from ${fewestRows}`);
  return onStage(stop, async (stage) => {
    const mailing = { projectId: defaultProjectId, emails, until: new Date() };
    await fill(stage, mailing);
    const service = await stage.startService("receiver");
    const api = apiClient(service);
    try {
      const isFast = await compareAnswers(api, stage.db, mailing);
      const isSmall = await compareCsv(api, service.pid, stage.db, mailing);
      return isFast && isSmall ? 0 : 1;
    } finally {
      await api.close();
    }
  });
}

async function fill({ db }: Stage, mailing: Mailing): Promise<void> {
  const { isTTY } = process.stderr;
  const showProgress = (written: number) => {
    if (isTTY) process.stderr.write(`\r${written.toLocaleString("en")} emails written`);
  };
  const tookMs = await timed(() => insertEmails(db, mailing, showProgress));
  if (isTTY) process.stderr.write("\r\x1b[K");
  const [emails, events] = [mailing.emails, 3 * mailing.emails].map((count) => count.toLocaleString("en"));
  print(`${emails} emails with ${events} events, written in ${(tookMs / 1000).toFixed(0)} s\n`);
}
