import pg from "pg";
import { SilentServerError } from "./silence.ts";

/** No connection could be opened; see the cause. */
export class UnreachableError extends Error {
  override readonly name = "UnreachableError";

  constructor(cause: unknown) {
    super("Cannot connect to the database", { cause });
  }
}

/** The SQLSTATE of an error from the server, or null for any other error. */
export function sqlState(error: unknown): string | null {
  if (error instanceof UnreachableError) return sqlState(error.cause);
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/**
 * Whether the transaction may succeed if it is repeated at once: deadlock, serialisation failure, a lock that is not waited
 * for, or a statement that a pooler has lost.
 */
export function isRetryable(error: unknown): boolean {
  return ["40P01", "40001", "55P03"].includes(sqlState(error) ?? "") || isStatementLost(error);
}

/** Whether a pooler gave the connection to another client and does not keep their named statements apart. */
export function isStatementLost(error: unknown): boolean {
  return ["26000", "42P05"].includes(sqlState(error) ?? "");
}

/** Enough for two transactions that lock the same rows; after that the error goes to the caller. */
const maxImmediateRetries = 5;

/** Repeats a transaction that failed because of a concurrent one. */
export async function retryConflicts<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let retry = 0; ; retry++) {
    try {
      return await work();
    } catch (error) {
      if (!isRetryable(error) || retry === maxImmediateRetries) throw error;
    }
  }
}

/**
 * Whether the data itself cannot be stored: SQLSTATE classes 22 (data exception), 23 (constraint) and 54 (for example
 * a value too long for an index).
 */
export function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? "");
}

/** Whether a statement exceeded its time limit. */
export function isOutOfTime(error: unknown): boolean {
  return sqlState(error) === "57014";
}

/** Whether the server accepts no changes: a standby, or a primary that was made read-only. */
export function isReadOnly(error: unknown): boolean {
  return sqlState(error) === "25006";
}

/** Whether an insert failed because the partition for its time is missing. */
export function isPartitionMissing(error: unknown): boolean {
  // The SQLSTATE is that of a check constraint, whose error would name it; the message is in the server's language.
  return error instanceof pg.DatabaseError && error.code === "23514" && error.constraint === undefined;
}

/**
 * SQLSTATEs and classes that do not concern the statement: it succeeds once the server is well.
 * Sources: PostgreSQL's list of error codes, and what a server reports while it starts, stops, fails over or is full.
 */
const unavailable: readonly string[] = [
  "08", // connection exception, also of a pooler that lost its server
  "25006", // read-only: a standby, or a primary during a failover
  "25P03", // the transaction was idle for too long
  "28", // the role may not connect now: its password was changed
  "3D000", // the database is not there: it is being restored
  "40001", // still in conflict after all repetitions
  "40P01",
  "53", // out of disk, memory or connections
  "55000", // the database takes no connections, or is in recovery
  "57P", // it starts, stops or has crashed
  "58", // the server's system fails: input and output
];

const networkCodes = [
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "ECONNABORTED",
  "ECONNREFUSED",
  "ECONNRESET",
  "EHOSTDOWN",
  "EHOSTUNREACH",
  "ENETDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
  "EPIPE",
  "ETIMEDOUT",
];

/** The driver's own errors have only a text. */
const driverTexts =
  /^(Connection terminated|timeout e|Client has encountered|Client was closed|Query read timeout|Cannot use a pool after)/;

/** Whether the database is unavailable: away, silent, full, read-only, starting or stopping. */
export function isUnavailable(error: unknown): boolean {
  const state = sqlState(error);
  if (state !== null) return unavailable.some((known) => state.startsWith(known));
  return error instanceof UnreachableError || isConnectionLost(error);
}

/** Whether the connection cannot be used any more. Read-only counts: the primary may be elsewhere by now. */
export function isConnectionSpoilt(error: Error): boolean {
  const state = sqlState(error);
  return state === null ? isConnectionLost(error) : /^(08|25006|25P03|57P)/.test(state);
}

/** Whether a connection attempt got no answer at all, not even a refusal. */
export function isNoAnswer(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return (
    /^(ETIMEDOUT|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN)$/.test(code) || /timeout/.test(error.message)
  );
}

function isConnectionLost(error: unknown): boolean {
  if (error instanceof SilentServerError) return true;
  if (!(error instanceof Error)) return false;
  return ("code" in error && networkCodes.includes(String(error.code))) || driverTexts.test(error.message);
}
