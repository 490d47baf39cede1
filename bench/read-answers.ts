import { z } from "zod";
import { table } from "../src/cli/command.ts";
import { encodeCursor } from "../src/domain/cursor.ts";
import { listActivity } from "../src/http/routes/activity.sql.ts";
import type { Database } from "../src/storage/database.ts";
import type { ApiClient } from "./api-client.ts";
import type { Mailing } from "./emails.ts";
import { type Candidate, interleaved, type Measurement, median, quantile } from "./measure.ts";
import type { Goal } from "./sides/report.ts";

const seldom = { rounds: 25, warmUpRounds: 2 };
/** The default page size. */
const pageSize = 50;
/** The allowed ratio of the slowest median to the fastest. */
const mostTimesTheFastest = 1.5;

/** Prints how long responses take. @returns the criterion: their medians are close to each other. */
export async function compareAnswers(
  api: ApiClient,
  db: Database,
  mailing: Mailing,
  { rounds, print }: { rounds: number; print: Print },
): Promise<Goal[]> {
  const often = { rounds, warmUpRounds: Math.ceil(rounds / 5) };
  const { answers, others } = await questions(db, mailing, rounds);
  await checkSamePage(api, others);
  const measured = await interleaved(answers, api.get, often);
  const fastest = Math.min(...measured.map(({ timesMs }) => median(timesMs)));
  const isWithin = ({ timesMs }: Measurement) => median(timesMs) / fastest <= mostTimesTheFastest;
  printTimes(
    print,
    [`Answers, ${often.rounds} of each`, "times the fastest", `within ${mostTimesTheFastest}`],
    measured.map((one) => [one, ratio(one, fastest), isWithin(one) ? "yes" : "NO"]),
  );
  const beside = await interleaved(others, api.get, seldom);
  const byCursor = median(beside[0]?.timesMs ?? []);
  printTimes(
    print,
    [`Beside them, ${seldom.rounds} of each`, "times the cursor"],
    beside.map((one) => [one, ratio(one, byCursor)]),
  );
  return measured.map(({ name, timesMs }) => ({
    name: `${name}: median, times the fastest`,
    value: median(timesMs) / fastest,
    atMost: mostTimesTheFastest,
  }));
}

/** @property others the page by cursor, the same page by number, and the first page without a remembered total. */
type Questions = { answers: Candidate[]; others: [Candidate, Candidate, Candidate] };

async function questions(db: Database, { projectId, emails }: Mailing, rounds: number): Promise<Questions> {
  const share = Math.min(100, (100 * 1_000) / emails);
  const drawn = await db.query<{ id: string; recipient: string }>(
    "select id, recipient from activity tablesample bernoulli ($1::float4) repeatable (1)",
    [share],
  );
  const pagesBefore = Math.floor((emails * 0.9) / pageSize);
  const cursors = await walk(
    db,
    projectId,
    pagesBefore * pageSize,
    Math.min(2 * rounds, Math.floor((emails * 0.1) / pageSize) - 1),
  );
  const place = `page at row ${(pagesBefore * pageSize).toLocaleString("en")}`;
  const byCursor = {
    name: `${place}, by cursor`,
    inputs: cursors.map((cursor) => `/v1/activity?cursor=${cursor}`),
  };
  const byAddress = drawn.map(({ recipient }) => `/v1/activity?email=${encodeURIComponent(recipient)}`);
  return {
    answers: [
      { name: "first page", inputs: ["/v1/activity"] },
      { name: "emails to one address", inputs: byAddress },
      byCursor,
      {
        name: "one email with its events",
        inputs: drawn.map(({ id }) => `/v1/activity/${id}?include=events`),
      },
    ],
    others: [
      byCursor,
      {
        name: `${place}, the usual way: OFFSET`,
        inputs: cursors.map((_, page) => `/v1/activity?page=${pagesBefore + 1 + page}`),
      },
      // The estimated total is remembered per filter; these filters have not been used yet.
      {
        name: "first page, its total estimated again",
        inputs: cursors.map((_, day) => `/v1/activity?since=${new Date(day * 86_400_000).toISOString()}`),
      },
    ],
  };
}

/** The cursors that a client gets while paging on from a row, at most this many. */
async function walk(db: Database, projectId: string, row: number, pages: number): Promise<string[]> {
  const rows = await listActivity(db, { projectId }, { limit: pages * pageSize, offset: row - 1 });
  return rows
    .filter((_, index) => index % pageSize === 0)
    .map(({ created_at_exact, id }) => encodeCursor({ time: created_at_exact, id }));
}

const Page = z.object({ data: z.array(z.object({ id: z.string() })).length(pageSize) });

/** Both ways to the same depth must return the same emails; otherwise the comparison is meaningless. */
async function checkSamePage(api: ApiClient, [one, other]: Questions["others"]): Promise<void> {
  const [shown, expected] = await Promise.all(
    [one, other].map(async ({ inputs: [path = ""] }) => Page.parse(JSON.parse(await api.get(path))).data),
  );
  if (JSON.stringify(shown) !== JSON.stringify(expected))
    throw new Error("Page and cursor show different emails");
}

/** Prints a line. */
export type Print = (line?: string) => void;

/** @param heads the headers of the name and of the cells after the times. */
export function printTimes(
  print: Print,
  [name = "", ...heads]: string[],
  rows: readonly [Measurement, ...string[]][],
): void {
  const lines = rows.map(([{ name, timesMs }, ...cells]) => [
    name,
    median(timesMs).toFixed(2),
    quantile(timesMs, 0.99).toFixed(2),
    ...cells,
  ]);
  for (const line of table([[name, "median ms", "p99 ms", ...heads], ...lines])) print(line);
  print();
}

function ratio({ timesMs }: Measurement, ofMs: number): string {
  return (median(timesMs) / ofMs).toFixed(2);
}
