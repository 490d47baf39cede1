import { createRequire } from "node:module";
import type * as Ioredis from "ioredis";

/** Required for the same reason as BullMQ. */
const ioredis: typeof Ioredis = createRequire(import.meta.url)("ioredis");

export const { Cluster, Redis } = ioredis;
export type Cluster = Ioredis.Cluster;
export type Redis = Ioredis.Redis;
