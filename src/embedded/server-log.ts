import { constants, openSync, readFileSync, renameSync, statSync } from "node:fs";

const maxLogBytes = 5_000_000;
const tailLines = 12;

/** An open server log, and how long it was when it was opened. */
export type ServerLog = { fd: number; offset: number };

/** Opens the log for a server that starts; one that has grown large is set aside as `.old`. */
export function openServerLog(file: string): ServerLog {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > maxLogBytes) renameSync(file, `${file}.old`);
  const flags = constants.O_APPEND | constants.O_CREAT | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0);
  return { fd: openSync(file, flags, 0o600), offset: size > maxLogBytes ? 0 : size };
}

/** The last lines that were written since `offset`. */
export function logTail(file: string, offset: number): string {
  const text = readFileSync(file).subarray(offset).toString("utf8");
  return text.trimEnd().split("\n").slice(-tailLines).join("\n");
}
