import type { Database } from "../src/storage/database.ts";
import { jobPerDelivery } from "./job-per-delivery.ts";
import { drainByLanes } from "./lane-drain.ts";
import { onLaneScene } from "./lane-scene.ts";
import type { RedisServer } from "./redis-server.ts";
import { showProgress } from "./sides/options.ts";
import { type Candidate, cpuBetween, inRounds, type Run, readCpu, type Series } from "./sides/rounds.ts";
import { postgresPid, type Stage } from "./stage.ts";
import { walPosition } from "./table-bytes.ts";

const endpointCount = 20;

export type Comparison = { backlog: number; rounds: number; redisUrl: string | undefined };

/**
 * Posts the same backlog, over 20 endpoints, by lanes and by a job per delivery. What receives the posts is the same
 * process, which is not counted.
 */
export async function compareDrains(
  stage: Stage,
  redis: RedisServer,
  { backlog, rounds, redisUrl }: Comparison,
): Promise<[lanes: Series, jobs: Series]> {
  const postgres = await postgresPid(stage);
  return onLaneScene(stage, { endpointCount, redisUrl }, async (scene) => {
    const jobs = await jobPerDelivery(stage, redis, scene);
    const measure = (pid: number) => (work: () => Promise<void>) => {
      const servers = [["PostgreSQL", postgres] as const, ["Redis", redis.pid] as const];
      return measured(stage.db, new Map<string, number>([["worker", pid], ...servers]), { backlog, work });
    };
    const candidates: Candidate[] = [
      { name: "lanes", run: () => drainByLanes(scene, backlog, measure(scene.pid)) },
      { name: "a job per delivery", run: () => jobs.drain(backlog, measure(jobs.pid)) },
    ];
    try {
      const [ofLanes, ofJobs] = await inRounds(candidates, rounds, (name, round) =>
        showProgress(`round ${round} of ${rounds}: ${name}`),
      );
      if (!ofLanes || !ofJobs) throw new Error("unreachable: there are two candidates");
      return [ofLanes, ofJobs];
    } finally {
      await jobs.close();
    }
  });
}

async function measured(
  db: Database,
  processes: ReadonlyMap<string, number>,
  { backlog, work }: { backlog: number; work: () => Promise<void> },
): Promise<Run> {
  const before = await readCpu(processes);
  const walBefore = await walPosition(db);
  const startedMs = performance.now();
  await work();
  const perSecond = backlog / ((performance.now() - startedMs) / 1000);
  const cpu = cpuBetween(before, await readCpu(processes), backlog);
  return { perSecond, cpu, walBytes: ((await walPosition(db)) - walBefore) / backlog };
}
