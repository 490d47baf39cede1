import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ChaosRedis, startRedis } from "./redis.ts";
import { openRelay, type Relay } from "./relay.ts";
import type { Watchdog } from "./watchdog.ts";

/** Three masters, each with a replica. Clients reach every node through a relay. */
export type ChaosCluster = {
  nodes: readonly ChaosRedis[];
  relays: readonly Relay[];
  urls: readonly string[];
};

const masters = 3;
const slots = 16_384;
/** A node that does not answer for so long is replaced by its replica. */
const nodeTimeoutMs = 2_000;
const formsWithinMs = 30_000;

export async function startCluster(directory: string, watchdog: Watchdog): Promise<ChaosCluster> {
  const relays = await Promise.all(Array.from({ length: 2 * masters }, () => openRelay(null)));
  const nodes = await Promise.all(
    relays.map((relay, place) =>
      startRedis(join(directory, `node-${place}`), watchdog, nodeSettings(relay.port)),
    ),
  );
  for (const [place, node] of nodes.entries()) relays[place]?.leadTo(node.port);
  await assemble(nodes, relays);
  return { nodes, relays, urls: relays.map(({ port }) => `redis://127.0.0.1:${port}`) };
}

function nodeSettings(announcedPort: number) {
  return (port: number) => ({
    "cluster-enabled": "yes",
    "cluster-node-timeout": String(nodeTimeoutMs),
    "cluster-announce-ip": "127.0.0.1",
    "cluster-announce-port": String(announcedPort),
    "cluster-announce-bus-port": String(port + 10_000),
  });
}

async function assemble(nodes: readonly ChaosRedis[], relays: readonly Relay[]): Promise<void> {
  const [first] = nodes;
  if (first === undefined) throw new Error("unreachable: there are nodes");
  for (const [place, { client }] of nodes.slice(0, masters).entries()) {
    const share = [place, place + 1].map((part) => Math.floor((part * slots) / masters));
    await client.call("CLUSTER", "ADDSLOTSRANGE", String(share[0]), String((share[1] ?? 0) - 1));
  }
  for (const [place, { client }] of nodes.entries()) {
    await client.call("CLUSTER", "SET-CONFIG-EPOCH", String(place + 1));
    const meet = ["MEET", "127.0.0.1", String(relays[0]?.port), String(first.port + 10_000)] as const;
    if (place > 0) await client.call("CLUSTER", ...meet);
  }
  await until("the nodes know one another", async () => (await knownTo(first)) === nodes.length);
  const ids = await Promise.all(nodes.map(({ client }) => client.call("CLUSTER", "MYID")));
  for (const [place, { client }] of nodes.slice(masters).entries())
    await eventually(() => client.call("CLUSTER", "REPLICATE", String(ids[place])));
  for (const node of nodes) await until("the cluster is ready", () => isOk(node));
}

async function knownTo({ client }: ChaosRedis): Promise<number> {
  return Number(/cluster_known_nodes:(\d+)/.exec(String(await client.call("CLUSTER", "INFO")))?.[1]);
}

/** Whether a node finds the cluster complete. */
async function isOk({ client }: ChaosRedis): Promise<boolean> {
  return /cluster_state:ok/.test(String(await client.call("CLUSTER", "INFO").catch(() => "")));
}

/** The masters that answer. */
export async function mastersOf({ nodes }: ChaosCluster): Promise<ChaosRedis[]> {
  const roles = await Promise.all(nodes.map(({ client }) => client.call("ROLE").catch(() => null)));
  return nodes.filter((_, place) => Array.isArray(roles[place]) && roles[place][0] === "master");
}

export async function describeNodes({ nodes }: ChaosCluster): Promise<string> {
  const views = await Promise.all(
    nodes.map(async ({ port, client }) => {
      const asked = ["INFO", "NODES"].map((what) => client.call("CLUSTER", what).catch((error) => error));
      return `# ${port}\n${(await Promise.all(asked)).map(String).join("\n")}`;
    }),
  );
  return views.join("\n");
}

/** A node learns of the others one after the other. */
async function eventually(work: () => Promise<unknown>): Promise<void> {
  await until("the cluster accepts its replicas", () =>
    work().then(
      () => true,
      () => false,
    ),
  );
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const untilMs = performance.now() + formsWithinMs;
  while (!(await isTrue())) {
    if (performance.now() > untilMs) throw new Error(`Redis Cluster: not so in 30 s: ${what}`);
    await sleep(100);
  }
}
