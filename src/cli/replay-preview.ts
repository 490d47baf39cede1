import type { Config } from "../config.ts";
import { openStore } from "../context.ts";
import { errorText } from "../logger.ts";
import { countKnown } from "../storage/journal.ts";
import { listTopics } from "../storage/topics.ts";
import {
  type Journal,
  type Preview,
  type PreviewOptions,
  previewCapture,
} from "../tools/captures/preview.ts";
import { captureSize } from "../tools/captures/read.ts";
import { print, printJson, table } from "./command.ts";
import { progressBar } from "./progress.ts";
import { tellDatabase } from "./with-store.ts";

/** `fanmail replay --dry-run`. @returns the exit code: 1 if something would not be accepted. */
export async function previewReplay(
  config: Config,
  options: Omit<PreviewOptions, "journal" | "onProgress">,
  asJson: boolean,
): Promise<number> {
  const opened = await openJournal(config);
  const bar = progressBar("reading", await captureSize(options.path));
  try {
    const preview = await previewCapture({
      ...options,
      journal: opened.journal,
      onProgress: (bytes, read) => bar.update(bytes, `${read} read`),
    });
    bar.stop();
    const missing = missingTopics(preview, opened.journal);
    if (asJson) printJson(jsonOf(preview, missing, opened.cause));
    else for (const line of table(rowsOf(preview, missing, opened.cause))) print(line);
    const isComplete =
      preview.unreadable.length + preview.refused.size + missing.length === 0 && !options.stopping?.aborted;
    return isComplete ? 0 : 1;
  } finally {
    bar.stop();
    await opened.close();
  }
}

type OpenedJournal = { journal: Journal | null; cause: string | null; close(): Promise<void> };

/** The journal of the configured database, which is not created if it does not exist. */
async function openJournal(config: Config): Promise<OpenedJournal> {
  const without = (cause: string) => ({ journal: null, cause, close: async () => {} });
  let store: Awaited<ReturnType<typeof openStore>>;
  try {
    const options = { attach: true, mustExist: true, onDatabase: tellDatabase };
    store = await openStore({ ...config, logLevel: "silent" }, options);
  } catch (error) {
    return without(errorText(error));
  }
  const { db } = store;
  try {
    const allowed = new Set([...config.topicArns, ...(await listTopics(db)).map(({ arn }) => arn)]);
    const journal: Journal = { allowed, countKnown: (names) => countKnown(db, names) };
    return { journal, cause: null, close: store.close };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function missingTopics({ topics }: Preview, journal: Journal | null): string[] {
  return journal === null ? [] : [...topics.keys()].filter((arn) => !journal.allowed.has(arn));
}

function rowsOf(preview: Preview, missing: string[], cause: string | null): string[][] {
  const { read, known, unknown, repeated, unreadable, first, last } = preview;
  const counted = (label: string, counts: Map<string, number>, note = (_key: string) => "") =>
    [...counts].map(([key, count]) => [label, `${count}  ${key}${note(key)}`]);
  const howToAllow = (arn: string) =>
    missing.includes(arn) ? `  is not allow-listed; allow it with: npx fanmail topics add ${arn}` : "";
  return [
    ["read", String(read)],
    ...(cause === null
      ? [
          ["new", String(unknown)],
          ["in the journal", String(known)],
        ]
      : [["new", `unknown: ${cause}`]]),
    ["in the capture twice", String(repeated)],
    ...(preview.leftOut > 0 ? [["left out", String(preview.leftOut)]] : []),
    ...counted("about", preview.events),
    ["about no event", String(preview.ignored)],
    ...counted("would be quarantined", preview.quarantined),
    ["emails", String(preview.emails)],
    ["recipients", String(preview.recipients)],
    ...(first && last ? [["published", `${first.toISOString()} to ${last.toISOString()}`]] : []),
    ...counted("of the topic", preview.topics, howToAllow),
    ["signed by the local key", String(preview.signedHere)],
    ...counted("would not be taken", preview.refused),
    ...unreadable.slice(0, 10).map((place) => ["no JSON", place]),
    ...(unreadable.length > 10 ? [["no JSON", `and ${unreadable.length - 10} more`]] : []),
  ];
}

function jsonOf(preview: Preview, missing: string[], cause: string | null): object {
  const { leftOut, signedHere, unknown, known, refused, events, quarantined, topics, ...rest } = preview;
  return {
    ...rest,
    new: unknown,
    known,
    ...(cause !== null && { journal_unreachable: cause }),
    left_out: leftOut,
    signed_here: signedHere,
    events: Object.fromEntries(events),
    quarantined: Object.fromEntries(quarantined),
    topics: Object.fromEntries(topics),
    topics_not_allowed: missing,
    refused: Object.fromEntries(refused),
  };
}
