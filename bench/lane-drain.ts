import {
  endTurns,
  type LaneScene,
  lanesOf,
  openLanes,
  type SinkEndpoint,
  setScene,
  until,
} from "./lane-scene.ts";

/** Gives all endpoints a backlog at the same time. @returns deliveries per second to those that do not hang. */
export async function drainByLanes(
  scene: LaneScene,
  backlog: number,
  hanging: readonly SinkEndpoint[],
): Promise<number> {
  const { sink, endpoints, queues } = scene;
  sink.hang(hanging.map(({ path }) => path));
  await setScene(scene, endpoints, backlog);
  const startedMs = performance.now();
  await openLanes(scene);
  await queues.wakeDeliver(lanesOf(endpoints));
  const expected = Math.floor(backlog / endpoints.length) * (endpoints.length - hanging.length);
  await until("the backlog has arrived", 120_000, () => sink.arrivals.size >= expected);
  const perSecond = expected / ((performance.now() - startedMs) / 1000);
  await endTurns(scene);
  sink.arrivals.clear();
  return perSecond;
}
