import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "../../bench/free-port.ts";
import { until } from "./wait.ts";

/** Whether Debian's `redis-server` or another is on this machine. CI installs it, and skips nothing. */
export const hasRedis: boolean =
  process.env["CI"] === "true" || spawnSync("redis-server", ["--version"]).status === 0;

export type RedisServer = {
  url: string;
  client: Redis;
  /** Ends the process; `start` brings it back on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
};

type RedisOptions = {
  /** A cluster of this one node, which holds all slots. */
  isCluster?: boolean;
  /** Where clients of the cluster connect, if it is not the node's own port. */
  announcedPort?: number;
};

export async function redisServer(options: RedisOptions = {}): Promise<RedisServer> {
  const { isCluster = false, announcedPort } = options;
  const directory = await mkdtemp(join(tmpdir(), "fanmail-redis-"));
  // Redis cannot tell which port the system chose, so that it is chosen before.
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on("error", () => {});
  const cluster = isCluster
    ? [
        "--cluster-enabled",
        "yes",
        "--cluster-announce-ip",
        "127.0.0.1",
        "--cluster-announce-port",
        String(announcedPort ?? port),
      ]
    : [];
  const args = [
    "--port",
    String(port),
    "--bind",
    "127.0.0.1",
    "--dir",
    directory,
    "--appendonly",
    "yes",
    ...cluster,
  ];
  let child = spawnServer(args);

  const isReady = () =>
    client.ping().then(
      () => true,
      () => false,
    );
  const answers = async () => {
    await client.connect().catch(() => {});
    await until("Redis answers", isReady);
    return true;
  };
  if (!(await Promise.race([answers(), once(child, "exit").then(() => false)]))) {
    // Something else has taken the port since, or that of the cluster's bus.
    client.disconnect();
    await rm(directory, { recursive: true, force: true });
    return redisServer(options);
  }
  if (isCluster) {
    await client.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383");
    await until("the cluster is ready", async () =>
      /cluster_state:ok/.test(String(await client.call("CLUSTER", "INFO"))),
    );
  }
  const server = {
    url,
    client,
    async kill() {
      const exited = once(child, "exit");
      child.kill("SIGKILL");
      await exited;
    },
    async start() {
      child = spawnServer(args);
      await until("Redis answers again", isReady);
    },
    async close() {
      client.disconnect();
      await server.kill();
      await rm(directory, { recursive: true, force: true });
    },
  };
  return server;
}

function spawnServer(args: string[]) {
  return spawn("redis-server", args, { stdio: "ignore" });
}
