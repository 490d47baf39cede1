import { join } from "node:path";
import { type ChaosRedis, startRedis } from "./redis.ts";
import { type ChaosCluster, describeNodes, startCluster } from "./redis-cluster.ts";
import { openRelay, type Relay } from "./relay.ts";
import type { Watchdog } from "./watchdog.ts";

export const queueKinds = ["postgres", "redis", "redis-cluster"] as const;
export type QueueKind = (typeof queueKinds)[number];

/** Where the queue is. */
export type ChaosQueue = {
  kind: QueueKind;
  /** null unless it is a single Redis. */
  redis: ChaosRedis | null;
  /** null unless it is a Redis Cluster. */
  cluster: ChaosCluster | null;
  /** What a process of the product is given. @property relay its own way to a single Redis. */
  wayFor(): Promise<{ url: string | null; relay: Relay | null }>;
  /** What a cluster's nodes think of one another, for people. */
  describe(): Promise<string>;
  end(): Promise<void>;
};

const nothing = async () => "";

export async function startQueue(
  kind: QueueKind,
  directory: string,
  watchdog: Watchdog,
): Promise<ChaosQueue> {
  switch (kind) {
    case "postgres": {
      const wayFor = async () => ({ url: null, relay: null });
      return { kind, redis: null, cluster: null, wayFor, describe: nothing, end: async () => {} };
    }
    case "redis": {
      const redis = await startRedis(join(directory, "redis"), watchdog);
      const wayFor = async () => {
        const relay = await openRelay(redis.port);
        return { url: `redis://127.0.0.1:${relay.port}`, relay };
      };
      return { kind, redis, cluster: null, wayFor, describe: nothing, end: redis.end };
    }
    case "redis-cluster": {
      const cluster = await startCluster(directory, watchdog);
      const wayFor = async () => ({ url: cluster.urls.join(","), relay: null });
      const end = async () => {
        for (const node of cluster.nodes) await node.end();
        for (const relay of cluster.relays) await relay.close();
      };
      return { kind, redis: null, cluster, wayFor, describe: () => describeNodes(cluster), end };
    }
    default:
      throw new Error(`unreachable: ${kind satisfies never}`);
  }
}
