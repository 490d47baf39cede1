import { readArgs } from "../src/cli/command.ts";
import { defaultProjectId } from "../src/storage/projects.ts";
import { type Corpus, makeCorpus } from "./corpus/corpus.ts";
import { insertEmails } from "./emails.ts";
import { onRedis } from "./redis-server.ts";
import { drained } from "./sides/drained.ts";
import { queueNamed, showProgress, wholeNumber } from "./sides/options.ts";
import { withOurs } from "./sides/ours.ts";
import { conclude, type Goal, type Report } from "./sides/report.ts";
import { inRounds, type Ratio, type Run, ratioOf, type Series } from "./sides/rounds.ts";
import type { Side } from "./sides/side.ts";
import { onStage, postgresVersion, type Stage } from "./stage.ts";

const hourMs = 3_600_000;
const eventsPerEmail = 3;
const usually = { events: [1_000_000, 10_000_000], notifications: 40_000, rounds: 5 };
const quickly = { events: [100_000], notifications: 8_000, rounds: 3 };
/** Of the rate at an empty table. */
const leastShare = 0.8;

type Options = {
  events: readonly number[];
  notifications: number;
  rounds: number;
  queue: "redis" | "postgres";
  asJson: boolean;
};

/** Compares how fast a backlog is applied when there are many events already with how fast it is when there are none. */
export async function growth(args: string[], stop: AbortSignal): Promise<number> {
  const options = readGrowthOptions(args);
  const report = await onRedis((redis) =>
    onStage(stop, (stage) =>
      onStage(stop, async (grownStage) => {
        const sides = { redis: options.queue === "redis" ? redis : null, signer: null };
        const servers = { PostgreSQL: await postgresVersion(stage), Redis: redis.version };
        return withOurs(stage, { ...sides, name: "empty" }, (empty) =>
          withOurs(grownStage, { ...sides, name: "grown", keepsEmails: true }, (grown) =>
            compareSizes({ empty, grown, stage: grownStage, servers }, options),
          ),
        );
      }),
    ),
  );
  return conclude(report, options.asJson);
}

function readGrowthOptions(args: string[]): Options {
  const { values } = readArgs(args, {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    events: { type: "string" },
    notifications: { type: "string" },
    rounds: { type: "string" },
    queue: { type: "string", default: "redis" },
  });
  const defaults = values.quick ? quickly : usually;
  const events = values.events?.split(",").map((text) => wholeNumber("events", text, 0));
  return {
    events: (events ?? defaults.events).toSorted((one, other) => one - other),
    notifications: wholeNumber("notifications", values.notifications ?? defaults.notifications, 1_000),
    rounds: wholeNumber("rounds", values.rounds ?? defaults.rounds, 1),
    queue: queueNamed(values.queue),
    asJson: values.json,
  };
}

type Sides = { empty: Side; grown: Side; stage: Stage; servers: Record<string, string> };

async function compareSizes({ empty, grown, stage, servers }: Sides, options: Options): Promise<Report> {
  const { events, notifications, rounds, queue } = options;
  const series: Series[] = [];
  const ratios: Record<string, Ratio> = {};
  for (const [place, size] of events.entries()) {
    const name = `${size.toLocaleString("en")} events`;
    await grow(stage, size - (events[place - 1] ?? 0), place);
    const corpora = await corporaOf(place, options);
    const candidates = [
      { name, run: drain(grown, corpora) },
      { name: "none, beside it", run: drain(empty, corpora) },
    ];
    const [ofGrown, ofEmpty] = await inRounds(candidates, rounds, (candidate, round) =>
      showProgress(`${name}, round ${round} of ${rounds}: ${candidate}`),
    );
    if (!ofEmpty || !ofGrown) throw new Error("unreachable: there are two candidates");
    series.push(ofGrown, ofEmpty);
    ratios[`${name} / none`] = ratioOf(ofGrown, ofEmpty, ({ perSecond }) => perSecond);
  }
  const goals: Goal[] = Object.entries(ratios).map(([name, { median }]) => {
    return { name, value: median, atLeast: leastShare };
  });
  const sizes = { notifications, rounds, queue };
  return { benchmark: "growth", options: sizes, servers, series, ratios, figures: {}, goals };
}

/** Applies the next corpus each time, because the emails of the last one stay in the grown tables. */
function drain(side: Side, corpora: readonly Corpus[]): () => Promise<Run> {
  let round = 0;
  return async () => {
    const corpus = corpora[round++];
    if (corpus === undefined) throw new Error("unreachable: there is a corpus for each round");
    const { perSecond, cpu, walBytes } = await drained(side, corpus);
    return { perSecond, cpu, walBytes };
  };
}

/** One for each round and for the warm-up. */
async function corporaOf(place: number, { notifications, rounds }: Options): Promise<Corpus[]> {
  const startMs = Date.now() - 4 * hourMs;
  const seeds = Array.from({ length: rounds + 1 }, (_, round) => 1 + place * (rounds + 1) + round);
  return Promise.all(seeds.map((seed) => makeCorpus(null, { notifications, seed, startMs })));
}

/** Writes more emails, with three events each. @param place among the sizes, so that no two emails are the same. */
async function grow({ db }: Stage, events: number, place: number): Promise<void> {
  const emails = Math.ceil(events / eventsPerEmail);
  if (emails === 0) return;
  // Opens happen up to a day after the email, and are recorded then; what is measured is recorded later.
  const until = new Date(Date.now() - 48 * hourMs - place * 1_000);
  await insertEmails(db, { projectId: defaultProjectId, emails, until }, (written) =>
    showProgress(
      `${(written * eventsPerEmail).toLocaleString("en")} of ${events.toLocaleString("en")} events written`,
    ),
  );
}
