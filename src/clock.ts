import { v7 } from "uuid";

/** Where time, ids and chance come from; everything else is given them. */
export type Clock = {
  now(): Date;
  /** A UUIDv7. */
  newId(): string;
  /** In [0, 1). */
  random(): number;
};

export const systemClock: Clock = { now: () => new Date(), newId: () => v7(), random: Math.random };
