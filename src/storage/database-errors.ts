import pg from "pg";

/** The SQLSTATE of an error that the server reported, or null for any other error. */
export function sqlState(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null;
}

/** Whether the same transaction may pass when it is tried again at once: deadlock or serialisation failure. */
export function isRetryable(error: unknown): boolean {
  return ["40P01", "40001"].includes(sqlState(error) ?? "");
}

/** What two transactions that lock the same rows may cost each other; beyond it the error is the caller's. */
const maxImmediateRetries = 5;

/** Tries a transaction again when another one got in its way. */
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
 * Whether the data itself cannot be stored: classes 22 (data exception), 23 (constraint) and 54 (a value too
 * long for an index, say).
 */
export function isDataError(error: unknown): boolean {
  return /^(22|23|54)/.test(sqlState(error) ?? "");
}

/** Whether a statement took longer than it may. */
export function isOutOfTime(error: unknown): boolean {
  return sqlState(error) === "57014";
}

/** Whether an insert failed because the partition for its time is missing. */
export function isPartitionMissing(error: unknown): boolean {
  // The state is that of a check, which would name its constraint; the message is in the server's language.
  return error instanceof pg.DatabaseError && error.code === "23514" && error.constraint === undefined;
}

const connectionCodes = ["ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ENOTFOUND", "EAI_AGAIN"];

/** Whether the database cannot be reached now: it is away, starts or stops, or has no connection left. */
export function isAway(error: unknown): boolean {
  if (error instanceof pg.DatabaseError) return /^(08|57P|53300)/.test(error.code ?? "");
  if (!(error instanceof Error)) return false;
  if ("code" in error && connectionCodes.includes(String(error.code))) return true;
  // Errors of the client library itself have a text alone.
  return /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/.test(
    error.message,
  );
}
