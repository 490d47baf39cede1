import {
  endTurns,
  type LaneScene,
  lanesOf,
  openLanes,
  pastDeliveries,
  setScene,
  until,
} from "./lane-scene.ts";
import type { Run } from "./sides/rounds.ts";

/** Measures some work. */
export type Measure = (work: () => Promise<void>) => Promise<Run>;

/** Gives all endpoints a backlog, and measures until all outcomes are written. */
export async function drainByLanes(scene: LaneScene, backlog: number, measure: Measure): Promise<Run> {
  const { db, sink, endpoints, queues } = scene;
  sink.hang([]);
  await setScene(scene, endpoints, backlog);
  const run = await measure(async () => {
    await openLanes(scene);
    await queues.wakeDeliver(lanesOf(endpoints));
    await until("the backlog has arrived", 300_000, () => sink.arrivals.size >= backlog);
    await endTurns(scene);
  });
  const [written] = await db.query<{ deliveries: number; attempts: number }>(
    `select (select count(*)::integer from deliveries where state = 'succeeded') as deliveries,
       (select count(*)::integer from attempts) as attempts`,
  );
  const expected = { deliveries: backlog + pastDeliveries(scene), attempts: backlog };
  assertPosted(sink.posts(), backlog);
  if (JSON.stringify(written) !== JSON.stringify(expected))
    throw new Error(`Written are ${JSON.stringify(written)} instead of ${JSON.stringify(expected)}`);
  sink.forget();
  return run;
}

/** @throws if something was posted twice. */
export function assertPosted(posts: number, backlog: number): void {
  if (posts !== backlog) throw new Error(`There were ${posts} POSTs of ${backlog} deliveries`);
}
