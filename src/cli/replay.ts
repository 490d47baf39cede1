import { isTopicArn } from "../domain/sns-message.ts";
import { localSigner } from "../replay/local-signer.ts";
import { captureSize } from "../replay/read-capture.ts";
import { type ReplaySummary, replayCapture } from "../replay/replay-capture.ts";
import { type Command, environmentConfig, print, printJson, readArgs, table, UsageError } from "./command.ts";
import { progressBar } from "./progress.ts";
import { stopRequest } from "./until-stopped.ts";

const defaultTopic = "arn:aws:sns:us-east-1:000000000000:fanmail-replay";

export const replay: Command = {
  help: [
    "fanmail replay <file|directory|-> [--to http://127.0.0.1:3000/ingest/sns] [--topic ARN] [--rate N]",
    "               [--give-up-after seconds] [--json]",
    "",
    "Reads SNS envelopes, which keep their AWS signature, or bare SES payloads, which are wrapped for --topic and",
    "signed with the key in DATA_DIR: one a line (.ndjson, .jsonl, standard input), or a .json file.",
    "A receiver takes the local signature when it is started with the SNS_LOCAL_CERTS that a refusal prints.",
    "",
    "  --rate N             notifications a second; without it as fast as they are taken",
    "  --give-up-after N    seconds that a notification is tried again while the receiver is away (300)",
  ].join("\n"),
  async run(args) {
    const { values, positionals } = readArgs(args, {
      to: { type: "string" },
      topic: { type: "string", default: defaultTopic },
      rate: { type: "string" },
      "give-up-after": { type: "string", default: "300" },
      json: { type: "boolean", default: false },
    });
    const [path, ...more] = positionals;
    if (path === undefined || more.length > 0)
      throw new UsageError("Name one file or directory, or - for standard input");
    if (!isTopicArn(values.topic))
      throw new UsageError(`--topic: "${values.topic}" is not the ARN of an SNS topic`);
    return replayPath(path, {
      to: values.to,
      topicArn: values.topic,
      rate: values.rate === undefined ? null : positiveNumber("--rate", values.rate),
      giveUpAfterMs: positiveNumber("--give-up-after", values["give-up-after"]) * 1000,
      asJson: values.json,
    });
  },
};

type ReplayArgs = {
  to: string | undefined;
  topicArn: string;
  rate: number | null;
  giveUpAfterMs: number;
  asJson: boolean;
};

async function replayPath(
  path: string,
  { to, topicArn, rate, giveUpAfterMs, asJson }: ReplayArgs,
): Promise<number> {
  const config = environmentConfig();
  const url = receiverUrl(to ?? `http://127.0.0.1:${config.port}/ingest/sns`);
  const signer = await localSigner(config.dataDir);
  const stop = stopRequest();
  const bar = progressBar("replay", await captureSize(path));
  const summary = await replayCapture({
    path,
    signer,
    topicArn,
    url,
    rate,
    giveUpAfterMs,
    stopping: stop,
    onProgress: (bytes, counts) => bar.update(bytes, `${counts.stored + counts.duplicates} taken`),
  });
  bar.stop();
  if (asJson) printJson({ ...summary, failed: Object.fromEntries(summary.failed) });
  else printSummary(summary);
  if (wasSignatureRefused(summary)) {
    const pair = `${signer.certificateUrl(topicArn)}=${signer.certificatePath}`;
    process.stderr.write(
      `Start the receiver with SNS_TOPIC_ARNS=${topicArn} and\n  SNS_LOCAL_CERTS=${pair}\n`,
    );
  }
  return isComplete(summary) && !stop.aborted ? 0 : 1;
}

function receiverUrl(text: string): string {
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return text;
  throw new UsageError(`--to: "${text}" is not a URL such as http://127.0.0.1:3000/ingest/sns`);
}

function positiveNumber(option: string, text: string): number {
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`${option} takes a number above 0`);
}

function printSummary({ read, stored, duplicates, retries, failed, unreadable }: ReplaySummary): void {
  const rows = [
    ["read", String(read)],
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

/** The receiver does not know the local certificate, or not the topic. */
function wasSignatureRefused({ failed }: ReplaySummary): boolean {
  return [...failed.keys()].some((cause) => /^403 |SNS certificate/.test(cause));
}
