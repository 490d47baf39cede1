import { randomBytes } from "node:crypto";
import { parseArn } from "../domain/arn.ts";
import { estimateJournal } from "../storage/journal-walk.ts";
import {
  type CaptureOptions,
  type CaptureSummary,
  captureJournal,
  fileTarget,
  outputTarget,
} from "../tools/captures/export.ts";
import type { PseudonymOptions } from "../tools/captures/pseudonymise.ts";
import { pseudonymsOf } from "../tools/captures/pseudonyms.ts";
import {
  type Command,
  eventTypeNames,
  print,
  readEventTypes,
  readOptions,
  readTimeOption,
  UsageError,
} from "./command.ts";
import { progressBar } from "./progress.ts";
import { stopRequest } from "./until-stopped.ts";
import { projectNamed, withStore } from "./with-store.ts";

export const capture: Command = {
  help: [
    "npx fanmail capture [--out file.ndjson|file.ndjson.gz] [--from 2026-11-20] [--to 2026-11-21T12:00Z] [--topic ARN]",
    "                    [--type open,click] [--quarantined] [--project name]",
    "                    [--pseudonymise [--secret text] [--keep-subjects]] [--json]",
    "",
    "Writes notifications from the journal in the format that fanmail replay reads: one SNS envelope per line, as stored,",
    "with its AWS signature, in the order in which SNS published them. Writes to standard output, or to a file that only",
    "its owner can read and that appears when it is complete; compressed if its name ends with .gz.",
    "",
    "  --from, --to      by the time of publishing: --from inclusive, --to exclusive; a day means its start, in UTC",
    `  --type            only notifications about these events: ${eventTypeNames.join(", ")}`,
    "  --quarantined     only notifications that could not be applied",
    "  --pseudonymise    replaces email addresses, subjects and the IP addresses of opens and clicks by pseudonyms, and",
    "                    removes names. It also removes the signature; fanmail replay signs with its own key. The rest of",
    "                    headers, tags and links stays",
    "  --secret          gives the same people the same pseudonyms as in other captures with this secret; without it,",
    "                    pseudonyms are valid for this capture only",
    "  --keep-subjects   keeps subjects, except for addresses in them",
    "  --json            prints a summary as JSON: with --out on standard output, else on standard error",
  ].join("\n"),
  async run(args) {
    const values = readOptions(args, options);
    const chosen = {
      from: readTimeOption("--from", values.from),
      to: readTimeOption("--to", values.to),
      topicArn: readTopic(values.topic),
      types: values.type === undefined ? null : readEventTypes(values.type),
      quarantined: values.quarantined,
      pseudonymise: readPseudonymise(values),
    };
    const { out, project, json } = values;
    return run({ ...chosen, stopping: stopRequest() }, { out, project, json });
  },
};

const options = {
  out: { type: "string" },
  from: { type: "string" },
  to: { type: "string" },
  topic: { type: "string" },
  type: { type: "string" },
  quarantined: { type: "boolean", default: false },
  project: { type: "string" },
  pseudonymise: { type: "boolean", default: false },
  secret: { type: "string" },
  "keep-subjects": { type: "boolean", default: false },
  json: { type: "boolean", default: false },
} as const;

type Output = { out: string | undefined; project: string | undefined; json: boolean };

async function run(
  chosen: Omit<CaptureOptions, "projectId" | "onProgress">,
  { out, project, json }: Output,
): Promise<number> {
  const summary = await withStore(async (store) => {
    const projectId = project === undefined ? null : (await projectNamed(store, project)).id;
    const target = out === undefined ? outputTarget(process.stdout) : await fileTarget(out);
    const total = out === undefined ? null : await estimateJournal(store.db, chosen.from);
    const bar = progressBar("capture", total);
    try {
      const onProgress = (read: number, captured: number) => bar.update(read, `${captured} captured`);
      const captured = await captureJournal(store.db, target, { ...chosen, projectId, onProgress });
      await (chosen.stopping.aborted ? target.discard() : target.finish());
      return captured;
    } catch (error) {
      await target.discard();
      throw error;
    } finally {
      bar.stop();
    }
  });
  if (chosen.stopping.aborted) {
    const nothing = out === undefined ? "" : `; ${out} was not written`;
    process.stderr.write(`fanmail capture: stopped before the end${nothing}\n`);
    return 1;
  }
  report(summary, out, json);
  return 0;
}

function report({ captured, read, first, last }: CaptureSummary, out: string | undefined, json: boolean) {
  const summary = `${JSON.stringify({ captured, read, first, last, out: out ?? null }, null, 2)}\n`;
  if (json) (out === undefined ? process.stderr : process.stdout).write(summary);
  else if (out !== undefined) {
    const span = first && last ? `, published from ${first.toISOString()} to ${last.toISOString()}` : "";
    print(`Captured ${captured} of ${read} notifications${span}, in ${out}`);
  }
}

/** A topic ARN, or the ARN of the SQS queue that messages without an envelope came through. */
function readTopic(text: string | undefined): string | null {
  if (text === undefined || ["sns", "sqs"].includes(parseArn(text).service)) return text ?? null;
  throw new UsageError(`--topic: "${text}" is not the ARN of an SNS topic`);
}

type PseudonymArgs = { pseudonymise: boolean; secret?: string | undefined; "keep-subjects": boolean };

function readPseudonymise(args: PseudonymArgs): PseudonymOptions | null {
  const { pseudonymise, secret, "keep-subjects": keepSubjects } = args;
  if (!pseudonymise && (secret !== undefined || keepSubjects)) {
    throw new UsageError("--secret and --keep-subjects go with --pseudonymise");
  }
  // With a guessable secret, addresses can be tried until a pseudonym matches.
  if (secret !== undefined && secret.length < 16)
    throw new UsageError("--secret must have at least 16 characters; make one with: openssl rand -hex 16");
  return pseudonymise ? { pseudonyms: pseudonymsOf(secret ?? randomBytes(32)), keepSubjects } : null;
}
