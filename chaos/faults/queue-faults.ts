import { mastersOf } from "../stage/redis-cluster.ts";
import type { Stage } from "../stage/stage.ts";
import type { Fault, FaultParts } from "./fault.ts";

const done = async () => {};

function ofRedis(
  name: string,
  weight: number,
  begin: (parts: FaultParts) => Promise<() => Promise<void>>,
): Fault {
  return {
    name: `Redis ${name}`,
    weight,
    needs: () => "Redis",
    losesOutcomes: false,
    seconds: { least: 1, most: 6 },
    isPossible: ({ queue }) => queue.kind === "redis",
    begin: async (parts) => ({ target: "Redis", end: await begin(parts) }),
  };
}

export const redisFaults: readonly Fault[] = [
  ofRedis("killed", 5, async ({ stage: { queue } }) => {
    await queue.redis?.kill();
    return async () => queue.redis?.start();
  }),
  ofRedis("emptied", 5, async ({ stage: { queue } }) => {
    await queue.redis?.client.flushall();
    return done;
  }),
  ofRedis("restarted without its data", 5, async ({ stage: { queue } }) => {
    await queue.redis?.kill();
    await queue.redis?.forget();
    return async () => queue.redis?.start();
  }),
  ofRedis("frozen", 4, async ({ stage: { queue } }) => {
    queue.redis?.freeze();
    return async () => queue.redis?.thaw();
  }),
];

function ofCluster(
  name: string,
  weight: number,
  begin: (parts: FaultParts) => Promise<() => Promise<void>>,
): Fault {
  const isPossible = ({ queue }: Stage) => queue.kind === "redis-cluster";
  const seconds = { least: 3, most: 10 };
  const fault = {
    name: `Redis Cluster ${name}`,
    weight,
    needs: () => "Redis",
    losesOutcomes: false,
    seconds,
    isPossible,
  };
  return { ...fault, begin: async (parts) => ({ target: "a master", end: await begin(parts) }) };
}

export const clusterFaults: readonly Fault[] = [
  ofCluster("master killed", 8, async ({ stage: { queue }, random }) => {
    const masters = queue.cluster ? await mastersOf(queue.cluster) : [];
    const master = masters[random.below(masters.length)];
    await master?.kill();
    return async () => master?.start();
  }),
  ofCluster("master frozen", 4, async ({ stage: { queue }, random }) => {
    const masters = queue.cluster ? await mastersOf(queue.cluster) : [];
    const master = masters[random.below(masters.length)];
    master?.freeze();
    return async () => master?.thaw();
  }),
  ofCluster("emptied", 4, async ({ stage: { queue } }) => {
    const masters = queue.cluster ? await mastersOf(queue.cluster) : [];
    for (const { client } of masters) await client.flushall();
    return done;
  }),
];
