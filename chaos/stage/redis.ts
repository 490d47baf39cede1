import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { freePort } from "../../bench/free-port.ts";
import { signal } from "./processes.ts";
import type { Watchdog } from "./watchdog.ts";

/** A Redis that nobody keeps running. */
export type ChaosRedis = {
  port: number;
  client: Redis;
  kill(): Promise<void>;
  start(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Removes what it has written; to be called while it is down. */
  forget(): Promise<void>;
  end(): Promise<void>;
};

const answersWithinMs = 60_000;

function hasRedis(): boolean {
  return spawnSync("redis-server", ["--version"]).status === 0;
}

/** @param settings beside the usual ones. @throws if `redis-server` is not installed. */
export async function startRedis(
  dir: string,
  watchdog: Watchdog,
  settings: (port: number) => Readonly<Record<string, string>> = () => ({}),
): Promise<ChaosRedis> {
  if (!hasRedis()) throw new Error("redis-server cannot be run: install Redis, or choose --queue postgres");
  await mkdir(dir, { recursive: true });
  const port = await freePort();
  const usual = { port: String(port), bind: "127.0.0.1", dir, appendonly: "yes", save: "" };
  const args = Object.entries({ ...usual, ...settings(port) }).flatMap(([name, value]) => [
    `--${name}`,
    value,
  ]);
  const client = new Redis(port, "127.0.0.1", {
    lazyConnect: true,
    retryStrategy: () => 100,
    maxRetriesPerRequest: 0,
  });
  // Whoever calls is told.
  client.on("error", () => {});
  let child: ChildProcess | null = null;
  const start = async () => {
    child = spawn("redis-server", args, { stdio: "ignore", detached: true });
    if (child.pid !== undefined) watchdog.started(child.pid);
    await answering(client);
  };
  const kill = async () => {
    if (child === null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    if (child.pid !== undefined) watchdog.ended(child.pid);
    child = null;
  };
  const send = (name: NodeJS.Signals) => {
    if (child?.pid !== undefined) signal(child.pid, name);
  };
  await start();
  return {
    port,
    client,
    kill,
    start,
    freeze: () => send("SIGSTOP"),
    thaw: () => send("SIGCONT"),
    async forget() {
      await rm(dir, { recursive: true, force: true });
      await mkdir(dir, { recursive: true });
    },
    async end() {
      client.disconnect();
      await kill();
    },
  };
}

async function answering(client: Redis): Promise<void> {
  const untilMs = performance.now() + answersWithinMs;
  for (;;) {
    try {
      if (client.status === "wait" || client.status === "end") await client.connect();
      await client.ping();
      return;
    } catch (cause) {
      if (performance.now() > untilMs) throw new Error("redis-server does not answer", { cause });
      await sleep(50);
    }
  }
}
