import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hasRedis } from "../support/redis-server.ts";
import { type Compose, environmentOf, readCompose, serviceOf } from "./compose-file.ts";
import { type Image, image } from "./dockerfile.ts";
import { hasProxy, type RunningProxy, startProxy } from "./proxy.ts";
import { freePort, type RunningProcess, runCommand } from "./running-process.ts";
import { type Server, startPostgres, startRedis } from "./servers.ts";

/*
 * docker-compose.yml without an engine: each service's own command as a process of this machine, with the environment
 * that the files give it, in which only names of containers and fixed ports become addresses of this machine.
 */

type Program = "migrate" | "receiver" | "worker";

/** A process of the program. `url` is empty where it does not listen. */
export type Part = {
  name: Program;
  process: RunningProcess;
  environment: Record<string, string>;
  url: string;
};

export type Stack = {
  compose: Compose;
  image: Image;
  databaseUrl: string;
  /** Of the proxy, or of a receiver where there is no `haproxy` on this machine. */
  url: string;
  receivers: Part[];
  workers: Part[];
  /** null where there is no `redis-server`; BullMQ then runs on PostgreSQL. */
  redis: Server | null;
  /** Starts a part that has ended once more, with the same environment and on the same port. */
  startAgain(part: Part): Promise<Part>;
  /** Ends what still runs as the engine does. @returns the exit codes. */
  stop(): Promise<(number | null)[]>;
};

type Setting = {
  compose: Compose;
  image: Image;
  /** What .env or the shell sets. */
  shell: Record<string, string>;
  /** For the program alone. */
  extra: Record<string, string>;
  directory: string;
  /** In order of their start. */
  stops: (() => Promise<number | null>)[];
};

export async function startStack(
  shell: Record<string, string>,
  extra: Record<string, string>,
): Promise<Stack> {
  const directory = await mkdtemp(join(tmpdir(), "fanmail-stack-"));
  // Root's PostgreSQL runs as another user, who must be able to enter.
  await chmod(directory, 0o755);
  const setting = {
    compose: await readCompose(shell),
    image: await image(),
    shell,
    extra,
    directory,
    stops: [],
  };
  try {
    return await startAll(setting);
  } catch (error) {
    await stopAll(setting);
    throw error;
  }
}

async function startAll(setting: Setting): Promise<Stack> {
  const { compose, directory, stops } = setting;
  const postgres = await startPostgres(compose, directory);
  stops.push(postgres.stop);
  const redis = hasRedis ? await startRedis(compose, directory) : null;
  if (redis) stops.push(redis.stop);
  const servers = { postgres: postgres.address, redis: redis?.address ?? null };

  const migrated = await (await start(setting, "migrate", servers)).process.ended;
  if (migrated.code !== 0) throw new Error(`migrate failed: ${migrated.output}`);
  const receivers = await startReplicas(setting, "receiver", servers);
  const workers = await startReplicas(setting, "worker", servers);
  const proxy = hasProxy ? await proxyOf(receivers) : null;
  if (proxy) stops.push(proxy.stop);
  return {
    compose,
    image: setting.image,
    databaseUrl: receivers[0]?.environment["DATABASE_URL"] ?? "",
    url: proxy?.url ?? receivers[0]?.url ?? "",
    receivers,
    workers,
    redis,
    async startAgain({ name, environment }) {
      return run(setting, name, environment);
    },
    stop: () => stopAll(setting),
  };
}

function proxyOf(receivers: Part[]): Promise<RunningProxy> {
  return startProxy(receivers.map(({ url }) => Number(new URL(url).port)));
}

async function stopAll({ stops, directory }: Setting): Promise<(number | null)[]> {
  const codes = [];
  for (const stop of stops.splice(0).toReversed()) codes.push(await stop());
  await rm(directory, { recursive: true, force: true });
  return codes;
}

type Addresses = Record<"postgres" | "redis", string | null>;

function startReplicas(setting: Setting, name: "receiver" | "worker", servers: Addresses): Promise<Part[]> {
  const { replicas } = serviceOf(setting.compose, name).deploy;
  return Promise.all(Array.from({ length: replicas }, () => start(setting, name, servers)));
}

async function start(setting: Setting, name: Program, servers: Addresses): Promise<Part> {
  const { compose, image: built, shell, extra } = setting;
  const given = { ...built.environment, ...environmentOf(serviceOf(compose, name), shell) };
  const metricsPort = String(await freePort());
  return run(setting, name, { ...localised(given, servers), METRICS_PORT: metricsPort, ...extra });
}

const readyLines = {
  receiver: /fanmail listens on (http:\/\/[\d.:]+)/,
  worker: /fanmail works/,
  migrate: /Applied/,
};

/** Resolves when it is ready for work. */
async function run(
  { compose, image: built, stops }: Setting,
  name: Program,
  given: Record<string, string>,
): Promise<Part> {
  const { command, stop_signal } = serviceOf(compose, name);
  const running = runCommand([...built.entrypoint, ...command], given);
  // One that has been killed by a test has no exit code to look at.
  stops.push(async () => (running.hasEnded() ? 0 : (await running.stop(stop_signal)).code));
  const [, url = ""] = await running.line(readyLines[name]);
  const environment = url === "" ? given : { ...given, PORT: new URL(url).port };
  return { name, process: running, environment, url };
}

/** Ports become free ones, containers the servers that stand for them; what has no server is left out. */
function localised(environment: Record<string, string>, servers: Addresses): Record<string, string> {
  const local: Record<string, string> = { ...environment, HOST: "127.0.0.1", PORT: "0" };
  for (const [name, value] of Object.entries(environment)) {
    for (const [server, address] of Object.entries(servers)) {
      const place = new RegExp(`(?<=[/@])${server}:\\d+`);
      if (!place.test(value)) continue;
      if (address === null) delete local[name];
      else local[name] = value.replace(place, address);
    }
  }
  return local;
}

/** Runs the command of a health check until it succeeds or has failed so often. @returns its last exit code. */
export async function healthOf(
  command: string[],
  environment: Record<string, string>,
  tries = 20,
): Promise<number | null> {
  for (let left = tries; ; left--) {
    const { code } = await runCommand(command, environment).ended;
    if (code === 0 || left <= 1) return code;
    await sleep(200);
  }
}
