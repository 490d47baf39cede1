import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { ownBuild, type Stage } from "../stage/stage.ts";

/** What a program printed, and how long it took. */
export type Ran = { output: string; code: number; seconds: number };

/** DATA_DIR of commands. */
export function commandsDirectory({ directory }: Stage): string {
  return join(directory, "commands");
}

/** Runs a command of the product as its operators do. @param database the one that it works on. */
export function runFanmail(stage: Stage, database: string, args: readonly string[]): Promise<Ran> {
  const { postgres, environment } = stage;
  const url = postgres.urlAt(postgres.port, database);
  const env = { ...environment, DATABASE_URL: url, DATA_DIR: commandsDirectory(stage) };
  return run(process.execPath, [`${ownBuild}/src/cli/main.js`, ...args], env);
}

/** Runs a program of the stage's PostgreSQL. @throws if it fails. */
export async function runPostgres(
  { postgres }: Stage,
  program: string,
  args: readonly string[],
): Promise<Ran> {
  const ran = await run(join(postgres.bin, program), args, {});
  if (ran.code !== 0) throw new Error(`${program} ended with ${ran.code}: ${ran.output.slice(-1_000)}`);
  return ran;
}

async function run(file: string, args: readonly string[], env: Record<string, string>): Promise<Ran> {
  const startedMs = performance.now();
  const options = { env: { PATH: process.env["PATH"] ?? "", ...env }, maxBuffer: 64 * 1024 * 1024 };
  const ended = await promisify(execFile)(file, [...args], options).then(
    ({ stdout }) => ({ output: stdout, code: 0 }),
    (error: { stdout?: string; stderr?: string; code?: number }) => ({
      output: `${error.stdout ?? ""}${error.stderr ?? String(error)}`,
      code: error.code ?? -1,
    }),
  );
  return { ...ended, seconds: (performance.now() - startedMs) / 1000 };
}
