import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { freshBuild } from "../support/fresh-build.ts";

// owner.mjs runs from `dist/`.
freshBuild();

type OwnerReport = { url?: string; error?: string; message?: string };

/** Directories, servers and processes of one test; `close` ends and removes exactly these. */
export class Sandbox {
  readonly lines: string[] = [];
  readonly #directories: string[] = [];
  readonly #servers: EmbeddedPostgres[] = [];
  readonly #owners: ChildProcess[] = [];

  async directory(mode = 0o755): Promise<string> {
    const directory = await mkdtemp(path.join(os.tmpdir(), "fanmail-embedded-"));
    await chmod(directory, mode);
    this.#directories.push(directory);
    return directory;
  }

  async start(dataDir: string, port?: number): Promise<EmbeddedPostgres> {
    const log = (line: string) => this.lines.push(line);
    const server = await startEmbeddedPostgres({ dataDir, log, ...(port === undefined ? {} : { port }) });
    this.#servers.push(server);
    return server;
  }

  /** Starts another Node process that owns the server of the directory. */
  async owner(dataDir: string): Promise<{ process: ChildProcess; report: OwnerReport }> {
    const child = fork(path.join(import.meta.dirname, "owner.mjs"), [dataDir], { silent: true });
    this.#owners.push(child);
    child.stderr?.pipe(process.stderr);
    const [output] = await once(child.stdout!, "data");
    return { process: child, report: JSON.parse(String(output)) };
  }

  async close(): Promise<void> {
    for (const owner of this.#owners) await killed(owner);
    await Promise.all(this.#servers.map((server) => server.stop()));
    // One may lie in another, made before it.
    for (const directory of this.#directories.toReversed()) {
      const left = await findPostmaster(pgdataOf(directory));
      if (left !== null) process.kill(left.pid, "SIGQUIT");
      await until(async () => (await findPostmaster(pgdataOf(directory))) === null);
      await rm(directory, { recursive: true });
    }
  }
}

export function pgdataOf(dataDir: string): string {
  return path.join(dataDir, "postgres/data");
}

export async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

export async function pidIn(pgdata: string): Promise<number> {
  return Number.parseInt(await readFile(path.join(pgdata, "postmaster.pid"), "utf8"), 10);
}

export async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

export async function until(isTrue: () => Promise<boolean>, waitMs = 20_000): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error("it did not become true");
    await sleep(50);
  }
}
