import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Redis } from "ioredis";
import { freePort } from "./free-port.ts";

/** A Redis of its own, which writes its log of changes to disk each second, as a usual one does. */
export type RedisServer = {
  url: string;
  pid: number;
  version: string;
  /** Removes everything. */
  empty(): Promise<void>;
};

/** Ends the server when its own input ends, as it does when the benchmark is killed. */
const guarded = 'redis-server "$@" & server=$!; read -r line; kill $server; wait $server';

/** Starts a Redis for `work` and removes it afterwards. @throws if `redis-server` is not installed. */
export async function onRedis<Result>(work: (redis: RedisServer) => Promise<Result>): Promise<Result> {
  await assertInstalled();
  const dir = await mkdtemp(join(tmpdir(), "fanmail-bench-redis-"));
  const port = await freePort();
  const settings = { port, bind: "127.0.0.1", dir, appendonly: "yes", appendfsync: "everysec", save: "" };
  const given = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const guard = spawn("sh", ["-c", guarded, "sh", ...given], {
    stdio: ["pipe", "ignore", "ignore"],
    // Ctrl-C ends the benchmark, which then ends the server.
    detached: true,
  });
  const client = new Redis(port, "127.0.0.1", { lazyConnect: true, retryStrategy: null });
  // The call that fails says so itself.
  client.on("error", () => {});
  try {
    const { pid, version } = await connected(client);
    const empty = async () => void (await client.flushall());
    return await work({ url: `redis://127.0.0.1:${port}`, pid, version, empty });
  } finally {
    client.disconnect();
    guard.stdin?.end();
    if (guard.exitCode === null) await once(guard, "exit");
    await rm(dir, { recursive: true, force: true });
  }
}

async function assertInstalled(): Promise<void> {
  await promisify(execFile)("redis-server", ["--version"]).catch((cause: unknown) => {
    throw new Error("redis-server cannot be run; install Redis, which this benchmark needs", { cause });
  });
}

const startsWithinMs = 30_000;

async function connected(client: Redis): Promise<Pick<RedisServer, "pid" | "version">> {
  const untilMs = performance.now() + startsWithinMs;
  for (;;) {
    try {
      await client.connect();
      const about = await client.info("server");
      const version = /redis_version:(\S+)/.exec(about)?.[1] ?? "unknown";
      return { version, pid: Number(/process_id:(\d+)/.exec(about)?.[1]) };
    } catch (cause) {
      if (performance.now() > untilMs) throw new Error("redis-server does not answer", { cause });
      await sleep(20);
    }
  }
}
