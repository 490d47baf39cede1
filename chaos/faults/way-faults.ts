import type { Relay } from "../stage/relay.ts";
import type { Role } from "../stage/service.ts";
import type { Fault, FaultParts, Picked } from "./fault.ts";

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

export const wayFaults: readonly Fault[] = ways.flatMap((way) =>
  disturbances.map(({ name, begin }): Fault => {
    const { weight, losesOutcomes, isPossible = () => true } = way;
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
