import { print } from "../src/cli/command.ts";
import { stopRequest } from "../src/cli/until-stopped.ts";
import { errorText } from "../src/logger.ts";

/**
 * Measures, prints, and returns the exit code: 0 if every criterion holds.
 * @param stop ends the benchmark early.
 */
type Benchmark = (args: string[], stop: AbortSignal) => Promise<number>;
type ListedBenchmark = { summary: string; load: () => Promise<Benchmark> };

const benchmarks: Readonly<Record<string, ListedBenchmark>> = {
  ingest: {
    summary:
      "messages that one receiver verifies and stores, beside the usual build and the bound; --quick, --json, --notifications 60000 --rounds 5 --connections 64 --seed 1 --queue redis",
    load: async () => (await import("./ingest.ts")).ingest,
  },
  apply: {
    summary: "a backlog that one worker applies, beside the usual build; options as of ingest",
    load: async () => (await import("./apply.ts")).apply,
  },
  e2e: {
    summary: "receiver and worker together, beside the usual build; options as of ingest",
    load: async () => (await import("./e2e.ts")).e2e,
  },
  growth: {
    summary:
      "a backlog applied beside millions of events and beside none; --quick, --json, --events 1000000,10000000 --notifications 40000 --rounds 5 --queue redis",
    load: async () => (await import("./growth.ts")).growth,
  },
  lanes: {
    summary:
      "webhooks while endpoints hang, and beside a job per delivery; --quick, --json, --endpoints 200 --backlog 20000 --rounds 9 --rate 100 --drained 100000 --only-drains --queue redis",
    load: async () => (await import("./lanes.ts")).lanes,
  },
  "old-snapshot": {
    summary:
      "everything at work while a transaction keeps an old snapshot, and bookkeeping tables; options as of ingest",
    load: async () => (await import("./old-snapshot.ts")).oldSnapshot,
  },
  scaling: {
    summary:
      "one, two and four receivers and workers over one PostgreSQL: rate, CPU of each part, connections, locks; options as of ingest",
    load: async () => (await import("./scaling.ts")).scaling,
  },
  soak: {
    summary:
      "memory of a receiver and a worker under full load for long; --minutes 30, --json, --notifications 40000 --connections 64 --seed 1 --queue redis",
    load: async () => (await import("./soak.ts")).soak,
  },
  start: {
    summary: "how soon the service and a worker are ready, and a receiver's memory; options as of ingest",
    load: async () => (await import("./start.ts")).start,
  },
  reads: {
    summary:
      "answers of the API over a million emails, and all of them as CSV; --rows 1000000 --rounds 400 --quick --json",
    load: async () => (await import("./reads.ts")).reads,
  },
};

/** Aborts on a stop signal, or when the output is closed (`| head`). */
const stop = AbortSignal.any([stopRequest(), whenUnread()]);

process.exitCode = await main(process.argv.slice(2));

async function main([name, ...args]: string[]): Promise<number> {
  const listed = name !== undefined && Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
  if (listed === undefined) return unknownBenchmark(name);
  try {
    return await (await listed.load())(args, stop);
  } catch (error) {
    process.stderr.write(`bench ${name}: ${stop.aborted ? "stopped" : errorText(error)}\n`);
    return 1;
  }
}

function unknownBenchmark(name: string | undefined): number {
  if (name !== undefined) process.stderr.write(`bench: there is no benchmark "${name}"\n\n`);
  print("Usage: npm run bench -- <benchmark> [options]\n");
  for (const [known, { summary }] of Object.entries(benchmarks)) print(`  ${known.padEnd(12)} ${summary}`);
  return name === undefined ? 0 : 1;
}

function whenUnread(): AbortSignal {
  const unread = new AbortController();
  process.stdout.on("error", () => unread.abort());
  return unread.signal;
}
