import { setTimeout as sleep } from "node:timers/promises";
import { type SinkMood, sinkMoods } from "../load/sink.ts";
import type { StagedService } from "../stage/stage.ts";
import type { Fault, FaultParts, Picked } from "./fault.ts";
import { clusterFaults, redisFaults } from "./queue-faults.ts";
import { wayFaults } from "./way-faults.ts";

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
