import type { LocalSigner } from "./local-signer.ts";
import { type PostOptions, postNotifications, type ReplayCounts } from "./post-notifications.ts";
import { readCapture } from "./read-capture.ts";
import { envelopeMaker } from "./to-envelope.ts";

export type ReplayOptions = Omit<PostOptions, "onProgress"> & {
  /** A file, a directory, or `-` for standard input. */
  path: string;
  signer: LocalSigner;
  /** The topic that bare SES payloads are wrapped for. */
  topicArn: string;
  /** @param bytesRead of the capture, so far. */
  onProgress?: (bytesRead: number, counts: ReplayCounts) => void;
};

export type ReplaySummary = ReplayCounts & {
  /** Notifications of the capture, the unreadable ones not counted. */
  read: number;
  /** Where the capture holds something that is no JSON, such as `week.ndjson:17`. */
  unreadable: string[];
};

/** Posts a capture to a receiver. */
export async function replayCapture({
  path,
  signer,
  topicArn,
  onProgress,
  ...post
}: ReplayOptions): Promise<ReplaySummary> {
  const toEnvelope = envelopeMaker(signer, topicArn);
  const unreadable: string[] = [];
  let read = 0;
  let bytesRead = 0;

  async function* bodies(): AsyncGenerator<string> {
    for await (const captured of readCapture(path)) {
      if (captured.kind === "unreadable") {
        unreadable.push(captured.place);
        continue;
      }
      read++;
      bytesRead += Buffer.byteLength(captured.text) + 1;
      yield toEnvelope(captured);
    }
  }

  const counts = await postNotifications(bodies(), {
    ...post,
    onProgress: (now) => onProgress?.(bytesRead, now),
  });
  return { ...counts, read, unreadable };
}
