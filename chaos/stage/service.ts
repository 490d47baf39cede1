import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { signal } from "./processes.ts";
import type { Watchdog } from "./watchdog.ts";

export type Role = "receiver" | "worker";

/** @property atMs milliseconds since 1970. */
type Ending = { atMs: number; code: number | null; signal: string | null };

export type ServiceOptions = {
  name: string;
  role: Role;
  /** The directory of a build: `dist` or one of its copies. */
  build: string;
  environment: Readonly<Record<string, string>>;
  logFile: string;
  /** A module that is loaded first. */
  preload: string;
  /** Called with the port of a receiver each time it is ready. */
  onPort: (port: number) => void;
  watchdog: Watchdog;
};

const startAgainMs = 300;
/** A service ends by itself within 10 seconds. */
const endsWithinMs = 15_000;

/** A process of the product, with a supervisor that starts it again whenever it ends. */
export class SupervisedService {
  readonly name: string;
  readonly role: Role;
  /** Every end that nobody caused, of a process that was ready. */
  readonly crashes: Ending[] = [];
  readonly #options: ServiceOptions;
  readonly #log: NodeJS.WritableStream;
  readonly #living: Promise<void>;
  #build: string;
  #port: number | null = null;
  /** null between two lives. */
  #child: ChildProcess | null = null;
  #ready: Promise<boolean> = Promise.resolve(false);
  #isWanted = true;
  #isEndCaused = false;

  constructor(options: ServiceOptions) {
    this.name = options.name;
    this.role = options.role;
    this.#options = options;
    this.#build = options.build;
    this.#log = createWriteStream(options.logFile, { flags: "a" });
    this.#living = this.#live();
  }

  /** The port of a receiver that is ready; null: none. */
  port(): number | null {
    return this.#port;
  }

  pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves when it has printed that it works. A life may end before, for example because the database is away. */
  async ready(): Promise<void> {
    while (!(await this.#ready)) await sleep(100);
  }

  kill(): void {
    this.#isEndCaused = true;
    this.#send("SIGKILL");
  }

  freeze(): void {
    this.#send("SIGSTOP");
  }

  thaw(): void {
    this.#send("SIGCONT");
  }

  /** Sets its clock apart from the others, or back. */
  shiftClock(): void {
    this.#send("SIGUSR2");
  }

  /** Ends it in order, and the supervisor with it. */
  async end(): Promise<void> {
    this.#isWanted = false;
    await this.#terminate();
    await this.#living;
  }

  /** Ends it in order, and starts it again, from another build if one is given. */
  async replace(build: string = this.#build): Promise<void> {
    this.#build = build;
    await this.#terminate();
    await sleep(startAgainMs);
    await this.ready();
  }

  async #live(): Promise<void> {
    while (this.#isWanted) {
      const onPort = (port: number) => {
        this.#port = port;
        this.#options.onPort(port);
      };
      const life = startService({ ...this.#options, build: this.#build, onPort }, this.#log);
      this.#child = life.child;
      this.#isEndCaused = false;
      this.#ready = life.ready;
      const ending = await life.ended;
      this.#child = null;
      if (!this.#isEndCaused && (await life.ready)) this.crashes.push(ending);
      if (this.#isWanted) await sleep(startAgainMs);
    }
  }

  async #terminate(): Promise<void> {
    if (this.#child === null) return;
    this.#isEndCaused = true;
    const exited = once(this.#child, "exit");
    const kill = setTimeout(() => this.#send("SIGKILL"), endsWithinMs);
    // One that is frozen cannot end.
    this.#send("SIGCONT");
    this.#send("SIGTERM");
    await exited;
    clearTimeout(kill);
  }

  #send(name: NodeJS.Signals): void {
    if (this.#child?.pid !== undefined) signal(this.#child.pid, name);
  }
}

/** @property ready whether it became ready. */
type Life = { child: ChildProcess; ready: Promise<boolean>; ended: Promise<Ending> };

function startService(
  { role, build, environment, preload, onPort, watchdog }: ServiceOptions,
  log: NodeJS.WritableStream,
): Life {
  const child = spawn(process.execPath, ["--import", preload, `${build}/src/cli/main.js`, role], {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { pid } = child;
  if (pid !== undefined) watchdog.started(pid);
  child.stderr.pipe(log, { end: false });
  const ended = once(child, "exit").then(([code, by]): Ending => {
    if (pid !== undefined) watchdog.ended(pid);
    log.write(`-- ended: ${code ?? by}\n`);
    return { atMs: Date.now(), code, signal: by };
  });
  return { child, ready: untilReady(child, onPort), ended };
}

/** @returns false if it ends before. */
async function untilReady(child: ChildProcess, onPort: (port: number) => void): Promise<boolean> {
  if (child.stdout === null) throw new Error("unreachable: its standard output is a pipe");
  for await (const line of createInterface(child.stdout)) {
    const port = /fanmail listens on http:\/\/[^:]+:(\d+)/.exec(line)?.[1];
    if (port !== undefined) onPort(Number(port));
    if (port !== undefined || /fanmail works/.test(line)) return true;
  }
  return false;
}
