import { cpus, totalmem } from "node:os";
import { print, printJson, table } from "../../src/cli/command.ts";
import { median } from "../measure.ts";
import { showProgress } from "./options.ts";
import { type Ratio, type Series, spread, totalCpu } from "./rounds.ts";

/** What a figure must be. */
export type Goal = { name: string; value: number; atLeast?: number; atMost?: number };

export type Report = {
  benchmark: string;
  /** What was asked for: sizes and numbers. */
  options: Record<string, number | string>;
  servers: Record<string, string>;
  series: readonly Series[];
  ratios: Record<string, Ratio>;
  /** Figures that several things have in common: a row for each, which begins with its name. */
  tables?: readonly { heads: string[]; rows: (string | number)[][] }[];
  /** Further figures, with their units in their names. */
  figures: Record<string, number>;
  goals: readonly Goal[];
};

function isReached({ value, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY }: Goal) {
  return value >= atLeast && value <= atMost;
}

/** Prints a report in place of the progress. @returns the exit code: 0 if every goal is reached. */
export function conclude(report: Report, asJson: boolean): number {
  showProgress("");
  const goals = report.goals.map((goal) => ({ ...goal, isReached: isReached(goal) }));
  if (asJson) printJson({ ...report, machine: machine(), goals });
  else printReport(report);
  return goals.every((goal) => goal.isReached) ? 0 : 1;
}

function printReport({
  benchmark,
  options,
  servers,
  series,
  tables = [],
  ratios,
  figures,
  goals,
}: Report): void {
  const { processor, processors, memoryGb, node } = machine();
  const versions = Object.entries({ "Node.js": node, ...servers }).map((pair) => pair.join(" "));
  print(`${benchmark}: ${processors} × ${processor}, ${memoryGb} GB; ${versions.join(", ")}`);
  print(
    `${Object.entries(options)
      .map((pair) => pair.join(" "))
      .join(", ")}\n`,
  );
  if (series.length > 0)
    printTable(["", "messages/s", "least to most", "CPU µs per message", "WAL bytes"], series.map(seriesRow));
  for (const { heads, rows } of tables)
    printTable(
      heads,
      rows.map((row) => row.map((cell) => (typeof cell === "number" ? number(cell) : cell))),
    );
  if (Object.keys(ratios).length > 0)
    printTable(["Median of the rounds", "", "least to most"], Object.entries(ratios).map(ratioRow));
  if (Object.keys(figures).length > 0)
    printTable(
      ["Besides", ""],
      Object.entries(figures).map(([name, value]) => [name, number(value)]),
    );
  printTable(["Goal", "", "must be", "reached"], goals.map(goalRow));
  print("Each figure is the median of the rounds. On a busy machine only the ratios mean something.");
}

function printTable(heads: string[], rows: string[][]): void {
  for (const line of table([heads, ...rows])) print(line);
  print();
}

function seriesRow({ name, runs }: Series): string[] {
  const rate = spread(runs.map(({ perSecond }) => perSecond));
  const processes = Object.keys(runs[0]?.cpu ?? {}).map((process) => {
    return `${process} ${number(median(runs.map(({ cpu }) => cpu[process] ?? 0)))}`;
  });
  const total = number(median(runs.map(totalCpu)));
  const wal = runs.flatMap(({ walBytes }) => walBytes ?? []);
  return [
    name,
    number(rate.median),
    `${number(rate.least)} to ${number(rate.most)}`,
    processes.length > 1 ? `${total} = ${processes.join(" + ")}` : total,
    wal.length > 0 ? number(median(wal)) : "",
  ];
}

function ratioRow([name, { median: middle, least, most }]: [string, Ratio]): string[] {
  return [name, middle.toFixed(3), `${least.toFixed(3)} to ${most.toFixed(3)}`];
}

function goalRow(goal: Goal): string[] {
  const limit = goal.atLeast === undefined ? `at most ${goal.atMost}` : `at least ${goal.atLeast}`;
  return [goal.name, number(goal.value), limit, isReached(goal) ? "yes" : "NO"];
}

/** Three digits that matter. */
function number(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return Number(value.toPrecision(3)).toString();
}

function machine() {
  const [first] = cpus();
  return {
    processor: first?.model.trim() ?? "unknown",
    processors: cpus().length,
    memoryGb: Math.round(totalmem() / 1e9),
    node: process.version,
  };
}
