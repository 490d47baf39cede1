import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../../bench/corpus/random.ts";
import { type Sink, type SinkMood, sinkMoods } from "../load/sink.ts";
import { mastersOf } from "../stage/redis-cluster.ts";
import type { Relay } from "../stage/relay.ts";
import type { Role } from "../stage/service.ts";
import type { Stage, StagedService } from "../stage/stage.ts";

/** A fault that has begun. */
export type BegunFault = {
  /** What it concerns, for people. */
  target: string;
  end(): Promise<void>;
};

/** A kind of fault. */
export type Fault = {
  name: string;
  /** How often it is chosen, compared with others. */
  weight: number;
  /** What it needs to itself: two faults that share one never overlap. */
  needs(pick: Picked): string;
  /** Absent: a process of any role. */
  role?: Role;
  /** Whether a webhook that arrived may be posted again because of it. */
  losesOutcomes: boolean;
  seconds: { least: number; most: number };
  isPossible(stage: Stage): boolean;
  begin(parts: FaultParts, pick: Picked): Promise<BegunFault>;
};

export type FaultParts = { stage: Stage; sink: Sink; random: Random };
/** Whom a fault concerns, if it concerns a process. */
export type Picked = { service: StagedService };

const always = () => true;
const database = () => "database";
const itself = ({ service }: Picked) => service.name;
const done = async () => {};

function ofProcess(
  name: string,
  weight: number,
  seconds: Fault["seconds"],
  begin: (service: StagedService) => (() => void) | Promise<unknown>,
): Fault {
  return {
    name,
    weight,
    needs: itself,
    losesOutcomes: true,
    seconds,
    isPossible: always,
    async begin(_parts, { service }) {
      const end = begin(service);
      return { target: service.name, end: async () => void (end instanceof Promise ? await end : end()) };
    },
  };
}

const processFaults: readonly Fault[] = [
  ofProcess("killed", 12, { least: 0, most: 0 }, (service) => {
    service.kill();
    return service.ready();
  }),
  ofProcess("frozen", 8, { least: 1, most: 8 }, (service) => {
    service.freeze();
    return () => service.thaw();
  }),
  ofProcess("restarted in order", 3, { least: 0, most: 0 }, (service) => service.replace()),
  ofProcess("clock shifted", 4, { least: 5, most: 20 }, (service) => {
    service.shiftClock();
    return () => service.shiftClock();
  }),
];

/**
 * Another process posts what this one was posting, and then this one goes on: what it writes must not replace the other's
 * outcome. The posts are under way because the customers' systems hang for a moment.
 */
const frozenForLonger: Fault = {
  name: "frozen while posting, for longer than a lease",
  role: "worker",
  weight: 2,
  needs: itself,
  losesOutcomes: true,
  seconds: { least: 32, most: 36 },
  isPossible: always,
  async begin({ sink }, { service }) {
    sink.behave("hangs");
    await sleep(500);
    service.freeze();
    sink.behave("ok");
    return { target: service.name, end: async () => service.thaw() };
  },
};

function ofDatabase(
  name: string,
  weight: number,
  seconds: Fault["seconds"],
  begin: (parts: FaultParts) => Promise<() => Promise<void>>,
  isPossible: Fault["isPossible"] = always,
): Fault {
  const fault = {
    name: `PostgreSQL ${name}`,
    weight,
    needs: database,
    losesOutcomes: true,
    seconds,
    isPossible,
  };
  return { ...fault, begin: async (parts) => ({ target: "PostgreSQL", end: await begin(parts) }) };
}

const databaseFaults: readonly Fault[] = [
  ofDatabase("restarted", 4, { least: 0, most: 4 }, async ({ stage: { postgres } }) => {
    await postgres.stop();
    return postgres.start;
  }),
  ofDatabase("crashed", 8, { least: 0, most: 3 }, async ({ stage: { postgres } }) => {
    await postgres.crash();
    return postgres.start;
  }),
  ofDatabase("backend killed", 5, { least: 1, most: 2 }, async ({ stage: { postgres }, random }) => {
    await postgres.killBackend(random.below);
    return done;
  }),
  ofDatabase("frozen", 6, { least: 1, most: 12 }, async ({ stage: { postgres } }) => {
    await postgres.freeze();
    return postgres.thaw;
  }),
  ofDatabase(
    "without room on its volume",
    4,
    { least: 2, most: 6 },
    async ({ stage: { volume, postgres } }) => {
      await volume?.fill();
      return async () => {
        await volume?.relieve();
        // It ends if it cannot write its WAL.
        if (!(await postgres.isRunning())) await postgres.start();
      };
    },
    ({ volume }) => volume !== null,
  ),
];

/** The ways that connections are disturbed. */
const disturbances: readonly { name: string; begin: (relay: Relay) => void }[] = [
  { name: "cut", begin: (relay) => relay.cut() },
  { name: "slow", begin: (relay) => relay.delay(400) },
  { name: "silent", begin: (relay) => relay.silence("both ways") },
  { name: "silent in one direction", begin: (relay) => relay.silence("answers") },
  { name: "half open", begin: (relay) => relay.loseFarEnds() },
];

type Way = {
  name: string;
  weight: number;
  losesOutcomes: boolean;
  role?: Role;
  of: (parts: FaultParts, pick: Picked) => readonly Relay[];
  isPossible?: Fault["isPossible"];
};

const ways: readonly Way[] = [
  {
    name: "way to the database",
    weight: 4,
    losesOutcomes: true,
    of: (_, { service }) => [service.toDatabase],
  },
  {
    name: "way to a receiver",
    weight: 2,
    losesOutcomes: false,
    role: "receiver",
    of: (_, { service }) => (service.toPort ? [service.toPort] : []),
  },
  {
    name: "way to the customers' systems",
    weight: 2,
    losesOutcomes: true,
    of: ({ stage }) => [stage.toSink],
  },
  {
    name: "way to Redis",
    weight: 2,
    losesOutcomes: false,
    of: (_, { service }) => (service.toRedis ? [service.toRedis] : []),
    isPossible: ({ queue }) => queue.kind === "redis",
  },
  {
    name: "ways to Redis Cluster",
    weight: 2,
    losesOutcomes: false,
    of: ({ stage }) => stage.queue.cluster?.relays ?? [],
    isPossible: ({ queue }) => queue.kind === "redis-cluster",
  },
];

const wayFaults: readonly Fault[] = ways.flatMap((way) =>
  disturbances.map(({ name, begin }): Fault => {
    const { weight, losesOutcomes, isPossible = always } = way;
    const full = `${way.name} ${name}`;
    const needs = ({ service }: Picked) => `${way.name} of ${service.name}`;
    return {
      name: full,
      weight,
      needs,
      ...(way.role && { role: way.role }),
      losesOutcomes,
      seconds: { least: 1, most: 8 },
      isPossible,
      async begin(parts, pick) {
        const relays = way.of(parts, pick);
        for (const relay of relays) begin(relay);
        return {
          target: way.name.startsWith("way to the cus") ? "all workers" : pick.service.name,
          async end() {
            for (const relay of relays) relay.heal();
          },
        };
      },
    };
  }),
);

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

const redisFaults: readonly Fault[] = [
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

const clusterFaults: readonly Fault[] = [
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

function ofSink(mood: SinkMood): Fault {
  return {
    name: `customers' systems: ${mood}`,
    weight: 2,
    needs: () => "sink",
    losesOutcomes: false,
    seconds: { least: 2, most: 8 },
    isPossible: always,
    async begin({ sink }) {
      sink.behave(mood);
      return { target: "all endpoints", end: async () => sink.behave("ok") };
    },
  };
}

export const faults: readonly Fault[] = [
  ...processFaults,
  frozenForLonger,
  ...databaseFaults,
  ...wayFaults,
  ...redisFaults,
  ...clusterFaults,
  ...sinkMoods.filter((mood) => mood !== "ok").map(ofSink),
];
