import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { end } from "./processes.ts";

/** A Redis of its own, which writes its log of changes to disk each second, as a usual one does. */
export type RedisServer = {
  url: string;
  pid: number;
  version: string;
  /** Removes everything. */
  empty(): Promise<void>;
};

/** Starts a Redis for `work` and removes it afterwards. @throws if `redis-server` is not installed. */
export async function onRedis<Result>(work: (redis: RedisServer) => Promise<Result>): Promise<Result> {
  const directory = await mkdtemp(join(tmpdir(), "fanmail-bench-redis-"));
  const port = await freePort();
  const settings = {
    port,
    bind: "127.0.0.1",
    dir: directory,
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
  };
  const given = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn("redis-server", given, { stdio: "ignore" });
  const failed = once(child, "error").then(([cause]) => {
    throw new Error("This benchmark needs redis-server; install Redis", { cause });
  });
  const client = new Redis(port, "127.0.0.1", { lazyConnect: true, retryStrategy: null });
  // The call that fails says so itself.
  client.on("error", () => {});
  try {
    await Promise.race([once(child, "spawn"), failed]);
    const version = await connected(client);
    const { pid } = child;
    if (pid === undefined) throw new Error("unreachable: a process that has started has an id");
    const empty = async () => void (await client.flushall());
    return await work({ url: `redis://127.0.0.1:${port}`, pid, version, empty });
  } finally {
    client.disconnect();
    await end(child);
    await rm(directory, { recursive: true, force: true });
  }
}

const startsWithinMs = 10_000;

/** @returns the version. */
async function connected(client: Redis): Promise<string> {
  const untilMs = performance.now() + startsWithinMs;
  for (;;) {
    try {
      await client.connect();
      return /redis_version:(\S+)/.exec(await client.info("server"))?.[1] ?? "unknown";
    } catch (cause) {
      if (performance.now() > untilMs) throw new Error("redis-server does not answer", { cause });
      await sleep(20);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("unreachable: it listened on TCP");
  return address.port;
}
