import { print, readArgs } from "../src/cli/command.ts";
import { compareCases, mostHanging, type Size } from "./lane-cases.ts";
import { compareDrains } from "./lane-comparison.ts";
import { maxInFlight, onLaneScene } from "./lane-scene.ts";
import { onRedis, type RedisServer } from "./redis-server.ts";
import { queueNamed, wholeNumber } from "./sides/options.ts";
import { conclude, type Report } from "./sides/report.ts";
import { ratioOf } from "./sides/rounds.ts";
import { onStage, postgresVersion, type Stage } from "./stage.ts";

const usually = { rounds: 9, drained: 100_000 };
const quickly = { rounds: 1, drained: 10_000 };
const drainRounds = 3;
const timesJobs = 2.5;

/** @property isHangingMeasured false: only the comparison with a job per delivery is made. */
type Options = {
  size: Size;
  drained: number;
  queue: "redis" | "postgres";
  isHangingMeasured: boolean;
  asJson: boolean;
};

/** Criteria: hanging endpoints do not measurably slow down the others, and lanes are faster than a job per delivery. */
export async function lanes(args: string[], stop: AbortSignal): Promise<number> {
  const options = readLaneOptions(args);
  const report = await onRedis((redis) => compare(stop, redis, options));
  return conclude(report, options.asJson);
}

function readLaneOptions(args: string[]): Options {
  const { values } = readArgs(args, {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    endpoints: { type: "string", default: "200" },
    backlog: { type: "string", default: "20000" },
    rounds: { type: "string" },
    rate: { type: "string", default: "100" },
    drained: { type: "string" },
    "only-drains": { type: "boolean", default: false },
    queue: { type: "string", default: "redis" },
  });
  const defaults = values.quick ? quickly : usually;
  const size = {
    endpoints: wholeNumber("endpoints", values.endpoints, mostHanging + 1),
    backlog: wholeNumber("backlog", values.backlog, mostHanging * maxInFlight),
    rounds: wholeNumber("rounds", values.rounds ?? defaults.rounds, 1),
    rate: wholeNumber("rate", values.rate, 1),
  };
  const drained = wholeNumber("drained", values.drained ?? defaults.drained, 1_000);
  return {
    size,
    drained,
    queue: queueNamed(values.queue),
    isHangingMeasured: !values["only-drains"],
    asJson: values.json,
  };
}

async function compare(
  stop: AbortSignal,
  redis: RedisServer,
  { size, drained, queue, isHangingMeasured, asJson }: Options,
): Promise<Report> {
  const redisUrl = queue === "redis" ? redis.url : undefined;
  const hanging = (stage: Stage) =>
    onLaneScene(stage, { endpointCount: size.endpoints, redisUrl }, (scene) =>
      compareCases(scene, size, asJson ? () => {} : print),
    );
  const goals = isHangingMeasured ? await onStage(stop, hanging) : [];
  return onStage(stop, async (stage) => {
    const comparison = { backlog: drained, rounds: drainRounds, redisUrl };
    const [ofLanes, ofJobs] = await compareDrains(stage, redis, comparison);
    const ratio = ratioOf(ofLanes, ofJobs, ({ perSecond }) => perSecond);
    return {
      benchmark: "lanes",
      options: { ...size, drained, queue },
      servers: { PostgreSQL: await postgresVersion(stage), Redis: redis.version },
      series: [ofLanes, ofJobs],
      ratios: { "lanes / a job per delivery": ratio },
      figures: {},
      goals: [...goals, { name: "times a job per delivery", value: ratio.median, atLeast: timesJobs }],
    };
  });
}
