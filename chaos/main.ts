import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../bench/corpus/random.ts";
import { print } from "../src/cli/command.ts";
import { stopRequest } from "../src/cli/until-stopped.ts";
import { errorText } from "../src/logger.ts";
import { migrationsDirectory } from "../src/package-info.ts";
import { buildRevision } from "./drills/previous-build.ts";
import { restartFigures, rollingRestarts, rollingUpgrade } from "./drills/restarts.ts";
import { restoring } from "./drills/restore.ts";
import type { Fault } from "./faults/fault.ts";
import { faults } from "./faults/faults.ts";
import { injecting } from "./faults/injector.ts";
import { buildMutant, type Mutant, mutants } from "./mutants.ts";
import { type DrillKind, type Options, readOptions, usage } from "./options.ts";
import { overload } from "./overload/overload.ts";
import { faultTable, figuresOf, figureTable, overloadTable } from "./report.ts";
import { type RunOptions, runChaos } from "./run.ts";
import { findInstalledPostgres } from "./stage/installed-postgres.ts";
import { ownBuild } from "./stage/stage.ts";

const exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chaos: ${errorText(error)}\n`);
  return 1;
});
// A stage that could not be set up has connections left; its watchdog ends and removes the rest.
process.exit(exitCode);

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === "help") {
    print(usage);
    return 0;
  }
  const stop = stopRequest();
  if (options.isOverload) return showOverload(options);
  if (options.mutant !== null) return catchMutants(options, options.mutant, stop);
  return options.drill === null ? prove(options, stop) : drill(options, options.drill, stop);
}

/** Runs on the product as it is. */
async function prove(options: Options, stop: AbortSignal): Promise<number> {
  const chosen = faults.filter(({ name }) => name.includes(options.only));
  if (chosen.length === 0) throw new Error(`No fault's name contains "${options.only}"`);
  return report({ ...runOf(options), disturb: injectingFrom(options, chosen, stop) }, options);
}

/** Restarts the processes in order, from the same build or from that of an earlier revision. */
async function drill(options: Options, kind: DrillKind, stop: AbortSignal): Promise<number> {
  const run = runOf(options);
  if (kind === "rolling") return report({ ...run, disturb: rollingRestarts(options.minutes, stop) }, options);
  if (kind === "restore") return restore(run, options, stop);
  const previous = await buildRevision(options.previous);
  try {
    show(`the previous release is ${previous.revision}`);
    const { directory: build, migrations } = previous;
    return await report({ ...run, build, migrations, disturb: rollingUpgrade(ownBuild) }, options);
  } finally {
    await previous.remove();
  }
}

/** Restores what a quiet run has left. */
async function restore(run: Omit<RunOptions, "disturb">, options: Options, stop: AbortSignal) {
  const postgresPrograms = await findInstalledPostgres();
  show(`PostgreSQL is ${postgresPrograms ?? "the embedded one, which has no pg_dump"}`);
  const afterwards = restoring(postgresPrograms !== null);
  const disturb = async () => {
    await sleep(60_000 * options.minutes, undefined, { signal: stop }).catch(() => {});
  };
  return report({ ...run, disturb, postgresPrograms, afterwards }, options);
}

function runOf(options: Options): Omit<RunOptions, "disturb"> {
  return {
    ...options,
    build: ownBuild,
    migrations: migrationsDirectory,
    mostIdleSeconds: 180,
    onProgress: show,
  };
}

function injectingFrom({ seed, minutes }: Options, chosen: readonly Fault[], stop: AbortSignal) {
  return injecting({ random: seededRandom(seed + 4), faults: chosen, seconds: 60 * minutes, stop });
}

/** @returns 1 if there are findings. */
async function report(run: RunOptions, { drill, asJson }: Options): Promise<number> {
  const result = await runChaos(run);
  const restarts = drill === "rolling" || drill === "upgrade" ? restartFigures(result.faults) : {};
  const figures = { ...figuresOf(run, result), ...restarts, ...result.more };
  if (asJson) print(JSON.stringify(figures));
  else print(`${faultTable(result)}\n\n${figureTable(figures)}\n`);
  for (const example of result.findings.examples()) process.stderr.write(`${example}\n`);
  return result.findings.isEmpty() ? 0 : 1;
}

/** Posts more than a receiver can take, and attacks its port. */
async function showOverload({ seed, only, asJson }: Options): Promise<number> {
  const { scenes, findings } = await overload({ seed, only, onProgress: show });
  if (asJson) print(JSON.stringify(scenes));
  else print(overloadTable(scenes));
  for (const example of findings.examples()) process.stderr.write(`${example}\n`);
  return findings.isEmpty() ? 0 : 1;
}

/** Runs on broken copies of the product. @returns 1 if one of them passes for whole. */
async function catchMutants(options: Options, name: string, stop: AbortSignal): Promise<number> {
  const chosen = mutants.filter((mutant) => name === "all" || mutant.name === name);
  if (chosen.length === 0) {
    const names = mutants.map((mutant) => `  ${mutant.name}`).join("\n");
    throw new Error(`There is no mutant "${name}"; there are:\n${names}`);
  }
  let missed = 0;
  for (const mutant of chosen) {
    const reported = await reportOf(options, mutant, stop);
    const [example] = reported.filter((what) => mutant.shows.test(what));
    if (example === undefined) missed++;
    print(
      `${example === undefined ? "MISSED" : "caught"}  ${mutant.name}: ${example ?? reported.join("; ")}`,
    );
  }
  return missed === 0 ? 0 : 1;
}

/** What the check reports about a broken copy of the product. */
async function reportOf(options: Options, mutant: Mutant, stop: AbortSignal): Promise<string[]> {
  const build = await buildMutant(mutant);
  try {
    const chosen = faults.filter((fault) => mutant.faults.includes(fault.name));
    const { findings } = await runChaos({
      ...runOf(options),
      rate: mutant.rate,
      build: build.directory,
      disturb: injectingFrom(options, chosen, stop),
      mostIdleSeconds: 60,
    });
    return findings.examples();
  } finally {
    await build.remove();
  }
}

function show(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
