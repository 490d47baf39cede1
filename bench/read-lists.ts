import type { Database } from "../src/storage/database.ts";
import type { ApiClient } from "./api-client.ts";
import type { Mailing } from "./emails.ts";
import { type Candidate, interleaved, median, quantile } from "./measure.ts";
import { type Print, printTimes } from "./read-answers.ts";
import type { Goal } from "./sides/report.ts";

/** The allowed ratio of a list's p99 to that of a lookup. */
const mostTimesALookup = 3;

/** Slow lists are read less often. */
const budgetMs = 10_000;

/** What lists are filtered by, as drawn rows have it. */
type Drawn = {
  id: string;
  recipient: string;
  campaign_id: string;
  sender_domain: string;
  automation_run_id: string | null;
  created_at: Date;
};

/**
 * Prints how long a page of each list takes, with each filter.
 * @returns the criterion: the slow ones take little longer than a lookup by primary key over the same connection.
 */
export async function compareLists(
  api: ApiClient,
  db: Database,
  mailing: Mailing,
  { rounds, print }: { rounds: number; print: Print },
): Promise<Goal[]> {
  const share = Math.min(100, (100 * 500) / mailing.emails);
  const drawn = await db.query<Drawn>(
    `select id, recipient, campaign_id, sender_domain, automation_run_id, created_at
     from activity tablesample bernoulli ($1::float4) repeatable (2)`,
    [share],
  );
  const lookup = { name: "lookup by primary key", inputs: drawn.map(({ id }) => `/v1/activity/${id}`) };
  const candidates = [lookup, ...(await followed(api, listsOf(drawn)))];
  const warmUpRounds = Math.ceil(rounds / 5);
  const measured = await interleaved(candidates, api.get, { rounds, warmUpRounds, budgetMs });
  const [ofLookup, ...ofLists] = measured;
  const lookupMs = quantile(ofLookup?.timesMs ?? [], 0.99);
  const goals = ofLists.map(({ name, timesMs }) => ({
    name: `${name}: p99, times a lookup's`,
    value: quantile(timesMs, 0.99) / lookupMs,
    atMost: mostTimesALookup,
  }));
  printTimes(
    print,
    [`Lists, ${rounds} of each`, "times the lookup's median", "times its p99"],
    measured.map((one) => [
      one,
      (median(one.timesMs) / median(ofLookup?.timesMs ?? [])).toFixed(2),
      (quantile(one.timesMs, 0.99) / lookupMs).toFixed(2),
    ]),
  );
  return goals;
}

function listsOf(drawn: readonly Drawn[]): Candidate[] {
  const of = (path: string, inputOf: (row: Drawn) => string | null): Candidate => ({
    name: path,
    inputs: drawn.flatMap((row) => inputOf(row) ?? []).map((query) => `${path.split("?")[0]}?${query}`),
  });
  const fixed = (path: string): Candidate => ({ name: path, inputs: [path] });
  const day = ({ created_at }: Drawn) => created_at.toISOString().slice(0, 10);
  return [
    fixed("/v1/activity"),
    ...["delivered", "opened", "clicked", "bounced", "complained", "suppressed"].map((status) =>
      fixed(`/v1/activity?status=${status}`),
    ),
    of("/v1/activity?email=…", ({ recipient }) => `email=${encodeURIComponent(recipient)}`),
    of("/v1/activity?campaign_id=…", ({ campaign_id }) => `campaign_id=${campaign_id}`),
    of(
      "/v1/activity?campaign_id=…&status=complained",
      (row) => `campaign_id=${row.campaign_id}&status=complained`,
    ),
    of("/v1/activity?automation_run_id=…", ({ automation_run_id }) =>
      automation_run_id === null ? null : `automation_run_id=${automation_run_id}`,
    ),
    of("/v1/activity?sender_domain=…", ({ sender_domain }) => `sender_domain=${sender_domain}`),
    of(
      "/v1/activity?sender_domain=…&status=bounced",
      (row) => `sender_domain=${row.sender_domain}&status=bounced`,
    ),
    of("/v1/activity?since=…&until=…", (row) => `since=${day(row)}&until=${row.created_at.toISOString()}`),
    of("/v1/activity?until=…&status=opened", (row) => `until=${day(row)}&status=opened`),
    fixed("/v1/events"),
    fixed("/v1/events?event=confirmation"),
    of("/v1/events?email=…", ({ recipient }) => `email=${encodeURIComponent(recipient)}`),
    of("/v1/events?since=…", (row) => `since=${day(row)}`),
    fixed("/v1/suppressions"),
    fixed("/emailit/v1/events"),
    fixed("/emailit/v1/events?filter[type]=email.complained"),
    fixed("/api/v1/sends?limit=50"),
    of("/api/v1/sends?limit=50&since=…", (row) => `limit=50&since=${row.created_at.toISOString()}`),
    of("/api/v1/sends?limit=50&since=…&cursorBy=updated", (row) => {
      return `limit=50&since=${row.created_at.toISOString()}&cursorBy=updated`;
    }),
  ];
}

const pagesToFollow = 20;

/** Adds, for each list with cursors that goes on, the pages that follow its first. */
async function followed(api: ApiClient, lists: readonly Candidate[]): Promise<Candidate[]> {
  const all: Candidate[] = [];
  for (const list of lists) {
    const cursors = await cursorsOf(api, list.inputs[0] ?? "");
    const [first] = list.inputs;
    const inputs = cursors.map((cursor) => `${first}${first?.includes("?") ? "&" : "?"}cursor=${cursor}`);
    all.push(list, ...(inputs.length > 0 ? [{ name: `${list.name}, by cursor`, inputs }] : []));
  }
  return all;
}

async function cursorsOf(api: ApiClient, path: string): Promise<string[]> {
  const cursors: string[] = [];
  let next = await nextCursor(api, path);
  while (next !== null && cursors.length < pagesToFollow) {
    cursors.push(next);
    next = await nextCursor(api, `${path}${path.includes("?") ? "&" : "?"}cursor=${next}`);
  }
  return cursors;
}

async function nextCursor(api: ApiClient, path: string): Promise<string | null> {
  const answer: { pagination?: { next_cursor?: string | null } } = JSON.parse(await api.get(path));
  return answer.pagination?.next_cursor ?? null;
}
