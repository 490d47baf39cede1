import { parseArgs } from "node:util";
import { type QueueKind, queueKinds } from "./stage/queue.ts";

export type Options = {
  /** Of all random choices. */
  seed: number;
  minutes: number;
  queue: QueueKind;
  /** Notifications a second. */
  rate: number;
  asJson: boolean;
  /** Only faults, or scenes of an overload, whose names contain this text. */
  only: string;
  /** What is done in place of a run on the product as it is; null: nothing. */
  mutant: string | null;
  drill: DrillKind | null;
  /** Whether a receiver gets more than it can take, and attacks, instead of faults. */
  isOverload: boolean;
  /** A git revision, for the drill `upgrade`; null: the last release, or the last commit that changed the program. */
  previous: string | null;
};

const drillKinds = ["rolling", "upgrade", "restore"] as const;
export type DrillKind = (typeof drillKinds)[number];

export const usage = `Usage: npm run chaos -- [options]

Sets up two receivers, two workers, PostgreSQL, a queue and a webhook sink, disturbs them for a while, and checks that nothing
is lost, counted twice or different. Exits 1 if anything is.

  --seed <number>      of all random choices (1)
  --minutes <number>   how long faults are caused (2)
  --queue <kind>       ${queueKinds.join(", ")} (postgres)
  --rate <number>      notifications a second (150)
  --only <text>        only faults, or scenes of --overload, whose names contain this text
  --json               prints the figures as JSON
  --drill <kind>       rolling: restarts every process in order, one after the other, instead of causing faults
                       upgrade: starts an earlier release, migrates, and replaces its processes one after the other
                       restore: restores what a run has left from pg_dump, and from a capture of the journal, and compares
  --previous <git revision>
                       the earlier release (the last tag, else the last commit that changed the program)
  --overload           posts more than a receiver can take, attacks its port, and freezes its database
  --mutant <name|all>  breaks the product on purpose, and exits 0 if the check reports it
`;

/** @throws Error that says what is wrong. */
export function readOptions(args: string[]): Options | "help" {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: "string", default: "1" },
      minutes: { type: "string", default: "2" },
      queue: { type: "string", default: "postgres" },
      rate: { type: "string", default: "150" },
      only: { type: "string", default: "" },
      json: { type: "boolean", default: false },
      mutant: { type: "string" },
      drill: { type: "string" },
      previous: { type: "string" },
      overload: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  return {
    seed: positive("seed", values.seed),
    minutes: positive("minutes", values.minutes),
    queue: oneOf("queue", queueKinds, values.queue),
    rate: positive("rate", values.rate),
    asJson: values.json,
    only: values.only,
    mutant: values.mutant ?? null,
    drill: values.drill === undefined ? null : oneOf("drill", drillKinds, values.drill),
    previous: values.previous ?? null,
    isOverload: values.overload,
  };
}

function oneOf<Kind extends string>(name: string, kinds: readonly Kind[], text: string): Kind {
  const kind = kinds.find((known) => known === text);
  if (kind === undefined) throw new Error(`--${name} must be one of ${kinds.join(", ")}`);
  return kind;
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0 && number < 1e9)) throw new Error(`--${name} must be a number above 0, not "${text}"`);
  return number;
}
