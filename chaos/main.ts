import { print } from "../src/cli/command.ts";
import { stopRequest } from "../src/cli/until-stopped.ts";
import { errorText } from "../src/logger.ts";
import { faults } from "./faults/faults.ts";
import { buildMutant, type Mutant, mutants } from "./mutants.ts";
import { type Options, readOptions, usage } from "./options.ts";
import { faultTable, figuresOf, figureTable } from "./report.ts";
import { type RunOptions, runChaos } from "./run.ts";
import { ownBuild } from "./stage/stage.ts";

process.exitCode = await main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`chaos: ${errorText(error)}\n`);
  return 1;
});

async function main(args: string[]): Promise<number> {
  const options = readOptions(args);
  if (options === "help") {
    print(usage);
    return 0;
  }
  const stop = stopRequest();
  return options.mutant === null ? prove(options, stop) : catchMutants(options, options.mutant, stop);
}

/** Runs on the product as it is. */
async function prove(options: Options, stop: AbortSignal): Promise<number> {
  const run: RunOptions = {
    ...options,
    build: ownBuild,
    faults: faults.filter(({ name }) => name.includes(options.only)),
    settlesWithinSeconds: 240,
    onProgress: show,
  };
  const result = await runChaos(run, stop);
  const figures = figuresOf(run, result);
  if (options.asJson) print(JSON.stringify(figures));
  else print(`${faultTable(result)}\n\n${figureTable(figures)}\n`);
  for (const example of result.findings.examples()) process.stderr.write(`${example}\n`);
  return result.findings.isEmpty() ? 0 : 1;
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
    const run: RunOptions = {
      ...options,
      rate: mutant.rate,
      build: build.directory,
      faults: faults.filter((fault) => mutant.faults.includes(fault.name)),
      settlesWithinSeconds: 60,
      onProgress: show,
    };
    const { findings } = await runChaos(run, stop);
    return findings.examples();
  } finally {
    await build.remove();
  }
}

function show(line: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${line}\n`);
}
