import { isTopicArn } from "../domain/mail/sns-message.ts";
import { type LocalSigner, localSigner } from "../tools/captures/local-signer.ts";
import {
  type ReplayOptions,
  type ReplayPlace,
  type ReplaySummary,
  replayCapture,
  replayPlace,
} from "../tools/captures/post.ts";
import type { EventFilter } from "../tools/captures/prepare.ts";
import { captureSize } from "../tools/captures/read.ts";
import {
  type Command,
  environmentConfig,
  eventTypeNames,
  print,
  printJson,
  readArgs,
  readEventTypes,
  readHttpUrl,
  table,
  UsageError,
} from "./command.ts";
import { progressBar, ratePerSecond } from "./progress.ts";
import { previewReplay } from "./replay-preview.ts";
import { stopRequest } from "./until-stopped.ts";

const defaultTopic = "arn:aws:sns:us-east-1:000000000000:fanmail-replay";

export const replay: Command = {
  help: [
    "npx fanmail replay <file|directory|-> [--to http://127.0.0.1:3000/ingest/sns] [--topic ARN] [--rate N | --speed 10x]",
    "                   [--only open,click | --except open,click] [--limit N] [--resume] [--dry-run]",
    "                   [--give-up-after seconds] [--json]",
    "",
    "Posts captured notifications, compressed with gzip or not: one JSON value per line (.ndjson, .jsonl, standard input),",
    "or a .json file. SNS envelopes keep their AWS signature. Unsigned ones and bare SES payloads are signed with the key",
    "in DATA_DIR; a receiver accepts it if it is started with the SNS_LOCAL_CERTS that is printed after a refusal.",
    "Notifications are also found inside SQS messages, Lambda and EventBridge events, and arrays.",
    "",
    "  --topic ARN          the topic of notifications that name none",
    "  --rate N             notifications per second; without it, as fast as the receiver accepts them",
    "  --speed 10x          in the original timing of SNS, ten times as fast",
    `  --only, --except     only, or not, notifications about these events: ${eventTypeNames.join(", ")}`,
    "  --limit N            no more than N notifications",
    "  --resume             continues an interrupted replay; without it, the replay starts from the beginning, which does no",
    "                       harm: known notifications count as duplicates",
    "  --dry-run            posts nothing, and reports what a replay would do, and what the journal of DATABASE_URL or",
    "                       DATA_DIR already contains",
    "  --give-up-after N    seconds that a notification is retried while the receiver is unreachable (300)",
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, options);
    const [path, ...more] = positionals;
    if (path === undefined || more.length > 0)
      throw new UsageError("Name one file or directory, or - for standard input");
    if (!isTopicArn(values.topic))
      throw new UsageError(`--topic: "${values.topic}" is not the ARN of an SNS topic`);
    if (values.rate !== undefined && values.speed !== undefined)
      throw new UsageError("--rate and --speed exclude each other");
    if (values.resume && path === "-")
      throw new UsageError("--resume needs a file: standard input is read once");
    return replayPath({
      path,
      to: values.to,
      topicArn: values.topic,
      rate: values.rate === undefined ? null : positiveNumber("--rate", values.rate),
      speed: values.speed === undefined ? null : positiveNumber("--speed", values.speed.replace(/x$/, "")),
      filter: readFilter(values),
      limit: values.limit === undefined ? null : wholeNumber("--limit", values.limit),
      giveUpAfterMs: positiveNumber("--give-up-after", values["give-up-after"]) * 1000,
      isResumed: values.resume,
      isDryRun: values["dry-run"],
      asJson: values.json,
    });
  },
};

const options = {
  to: { type: "string" },
  topic: { type: "string", default: defaultTopic },
  rate: { type: "string" },
  speed: { type: "string" },
  only: { type: "string" },
  except: { type: "string" },
  limit: { type: "string" },
  resume: { type: "boolean", default: false },
  "dry-run": { type: "boolean", default: false },
  "give-up-after": { type: "string", default: "300" },
  json: { type: "boolean", default: false },
} as const;

type ReplayArgs = Pick<ReplayOptions, "path" | "topicArn" | "rate" | "giveUpAfterMs"> & {
  to: string | undefined;
  speed: number | null;
  filter: EventFilter;
  limit: number | null;
  isResumed: boolean;
  isDryRun: boolean;
  asJson: boolean;
};

async function replayPath(args: ReplayArgs): Promise<number> {
  const { path, topicArn, filter, limit, to, asJson } = args;
  const config = environmentConfig();
  const url = readHttpUrl(
    "--to",
    to ?? `http://127.0.0.1:${config.port}/ingest/sns`,
    "http://127.0.0.1:3000/ingest/sns",
  );
  // Before the key is made, so that a wrong file name leaves nothing behind.
  await captureSize(path);
  const signer = await localSigner(config.dataDir);
  const stopping = stopRequest();
  if (args.isDryRun)
    return previewReplay(config, { path, signer, topicArn, filter, limit, stopping }, asJson);
  const which = { url, topicArn, limit, filter: filter && [filter.kind, ...filter.types] };
  const place = path === "-" ? null : await replayPlace(config.dataDir, path, which);
  const after = args.isResumed ? (place?.taken ?? 0) : 0;
  if (after > 0) process.stderr.write(`Going on after ${after} that were taken before.\n`);
  const summary = await replayFrom(place, { ...args, url, signer, after, stopping });
  if (asJson) printJson(jsonOf(summary, args, after));
  else printSummary(summary, args, after);
  process.stderr.write(remediesOf(summary, signer));
  return isComplete(summary) && !stopping.aborted ? 0 : 1;
}

async function replayFrom(place: ReplayPlace | null, options: ReplayOptions): Promise<ReplaySummary> {
  const bar = progressBar("replay", await captureSize(options.path));
  const rate = ratePerSecond();
  let isDone = false;
  try {
    const summary = await replayCapture({
      ...options,
      onTaken: (count) => place?.note(count),
      onProgress(bytes, { stored, duplicates }) {
        const taken = stored + duplicates;
        bar.update(bytes, `${taken} taken, ${rate(taken)}/s`);
      },
    });
    isDone = summary.failed.size === 0 && !options.stopping.aborted;
    return summary;
  } finally {
    bar.stop();
    await place?.close(isDone);
  }
}

function positiveNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${option} takes a number above 0`);
}

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`${option} takes a whole number above 0`);
}

function readFilter({
  only,
  except,
}: {
  only?: string | undefined;
  except?: string | undefined;
}): EventFilter {
  if (only !== undefined && except !== undefined)
    throw new UsageError("--only and --except exclude each other");
  const text = only ?? except;
  if (text === undefined) return null;
  return { kind: only === undefined ? "except" : "only", types: readEventTypes(text) };
}

function jsonOf(summary: ReplaySummary, { filter, isResumed }: ReplayArgs, after: number): object {
  const { read, stored, duplicates, retries, failed, unreadable, leftOut } = summary;
  return {
    ...{ read, stored, duplicates, retries, failed: Object.fromEntries(failed), unreadable },
    ...(filter !== null && { left_out: leftOut }),
    ...(isResumed && { resumed_after: after }),
  };
}

function printSummary(summary: ReplaySummary, { filter, isResumed }: ReplayArgs, after: number): void {
  const { read, stored, duplicates, retries, failed, unreadable, leftOut } = summary;
  const rows = [
    ["read", String(read)],
    ...(filter !== null ? [["left out", String(leftOut)]] : []),
    ...(isResumed ? [["taken before", String(after)]] : []),
    ["stored", String(stored)],
    ["duplicates", String(duplicates)],
    ["repeated tries", String(retries)],
    ...[...failed].map(([cause, count]) => ["not taken", `${count}  ${cause}`]),
    ...unreadable.slice(0, 10).map((place) => ["no JSON", place]),
    ...(unreadable.length > 10 ? [["no JSON", `and ${unreadable.length - 10} more`]] : []),
  ];
  for (const line of table(rows)) print(line);
}

function isComplete({ failed, unreadable }: ReplaySummary): boolean {
  return failed.size === 0 && unreadable.length === 0;
}

/** What to do if the receiver does not know the local certificate, or a topic. */
function remediesOf({ distrusted }: ReplaySummary, signer: LocalSigner): string {
  const here = [...distrusted.signedHere];
  const pairs = here.map((arn) => `${signer.certificateUrl(arn)}=${signer.certificatePath}`);
  const certificates = [...new Set(pairs)].join(",");
  return [
    ...(here.length > 0
      ? [`Start the receiver with SNS_TOPIC_ARNS=${here.join(",")} and\n  SNS_LOCAL_CERTS=${certificates}\n`]
      : []),
    ...[...distrusted.signedByAws].map((arn) => `Allow the topic with: npx fanmail topics add ${arn}\n`),
  ].join("");
}
