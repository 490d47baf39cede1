import { print, readArgs } from "../src/cli/command.ts";
import { defaultProjectId } from "../src/storage/projects.ts";
import { apiClient } from "./api-client.ts";
import { insertCustomEvents } from "./custom-events.ts";
import { insertEmails, insertSuppressions, type Mailing } from "./emails.ts";
import { timed } from "./measure.ts";
import { compareAnswers, type Print } from "./read-answers.ts";
import { compareCsv } from "./read-csv.ts";
import { compareLists } from "./read-lists.ts";
import { showProgress, wholeNumber } from "./sides/options.ts";
import { conclude, type Goal } from "./sides/report.ts";
import { onStage, postgresVersion, type Stage } from "./stage.ts";

const fewestRows = 10_000;
const usually = { rows: 1_000_000, rounds: 400 };
const quickly = { rows: 50_000, rounds: 20 };

/**
 * Reads from many emails: all responses take equally long, a page of any list takes little longer than a lookup, and CSV of
 * all rows takes no more memory than of a tenth.
 */
export async function reads(args: string[], stop: AbortSignal): Promise<number> {
  const { values } = readArgs(args, {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rows: { type: "string" },
    rounds: { type: "string" },
  });
  const defaults = values.quick ? quickly : usually;
  const emails = wholeNumber("rows", values.rows ?? defaults.rows, fewestRows);
  const rounds = wholeNumber("rounds", values.rounds ?? defaults.rounds, 10);
  const tell: Print = values.json ? () => {} : print;
  return onStage(stop, async (stage) => {
    const mailing = { projectId: defaultProjectId, emails, until: new Date() };
    await fill(stage, mailing, tell);
    const goals = await compare(stage, mailing, { rounds, isCsvRead: !values.quick, print: tell });
    const servers = { PostgreSQL: await postgresVersion(stage) };
    const options = { rows: emails, rounds };
    return conclude(
      { benchmark: "reads", options, servers, series: [], ratios: {}, figures: {}, goals },
      values.json,
    );
  });
}

async function compare(
  { startService, db, key }: Stage,
  mailing: Mailing,
  { rounds, isCsvRead, print: tell }: { rounds: number; isCsvRead: boolean; print: Print },
): Promise<Goal[]> {
  const service = await startService("receiver");
  const api = apiClient({ ...service, key });
  try {
    return [
      ...(await compareAnswers(api, db, mailing, { rounds, print: tell })),
      ...(await compareLists(api, db, mailing, { rounds, print: tell })),
      // Few rows say nothing about memory.
      ...(isCsvRead ? await compareCsv(api, service.pid, db, mailing, tell) : []),
    ];
  } finally {
    await api.close();
  }
}

async function fill({ db }: Stage, mailing: Mailing, tell: Print): Promise<void> {
  const tookMs = await timed(async () => {
    await insertEmails(db, mailing, (written) => {
      showProgress(`${written.toLocaleString("en")} emails written`);
    });
    await insertSuppressions(db, mailing);
    await insertCustomEvents(db, mailing);
  });
  showProgress("");
  const [emails, events] = [mailing.emails, 3 * mailing.emails].map((count) => count.toLocaleString("en"));
  tell(`${emails} emails with ${events} events, written in ${(tookMs / 1000).toFixed(0)} s\n`);
}
