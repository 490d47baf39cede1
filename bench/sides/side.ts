import type { Database } from "../../src/storage/database.ts";
import type { Corpus, Notification } from "../corpus/corpus.ts";
import type { Expectation } from "../corpus/expectation.ts";

export type Role = "receiver" | "worker";

/** One of the programs that are compared, with a PostgreSQL and a Redis of its own. */
export type Side = {
  name: string;
  db: Database;
  /** Where messages are posted. */
  target(): { origin: string; path: string };
  /** @param processes of the command, 1 by default; the usual build has one. */
  startReceiver(processes?: number): Promise<void>;
  startWorker(processes?: number): Promise<void>;
  stop(role: Role): Promise<void>;
  /** Process ids by name, of what runs now. */
  processes(): ReadonlyMap<string, number>;
  /** Removes all that was received and applied, and takes a checkpoint, so that each run starts alike. */
  empty(): Promise<void>;
  /** Makes a backlog, as the receiver would. Ours is visible all at once, so that workers that run begin together. */
  fill(corpus: Corpus): Promise<void>;
  /** How many messages are received but not applied. @throws if some failed. */
  waiting(): Promise<number>;
  /** What was received, to be compared with what should be. */
  received(): Promise<Partial<Expectation>>;
  /** What was applied, likewise. */
  applied(): Promise<Partial<Expectation>>;
  /** Of these SES messageIds, those whose email is in the table of emails. */
  visible(messageIds: readonly string[]): Promise<string[]>;
};

/** An email's first notification. */
export function isSend({ happening }: Notification): boolean {
  return happening.kind === "Send";
}

/** Counts by status, sorted by name, as an expectation has them. */
export function statusesOf(rows: readonly { status: string; count: number }[]): Record<string, number> {
  const sorted = rows.toSorted((one, other) => (one.status < other.status ? -1 : 1));
  return Object.fromEntries(sorted.map(({ status, count }) => [status, count]));
}
