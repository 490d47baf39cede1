import pg from "pg";
import { parseExactJson } from "../domain/exact-json.ts";

/** Runs SQL: a pool, or one transaction of it. */
export type Database = {
  query<Row extends pg.QueryResultRow>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Within a
   * transaction, a savepoint: what `work` did is undone when it rejects, the rest stays.
   */
  transaction<Result>(work: (tx: Database) => Promise<Result>): Promise<Result>;
};

export type DatabasePool = Database & { close(): Promise<void> };

/** The most that a process opens at a time; BullMQ opens its own beside them where it runs on Postgres. */
export const connectionsOfProcess = 12;

/** How long a caller waits for a connection. A receiver must answer 503 well within SNS's 15 seconds. */
const connectTimeoutMs = 3_000;

/**
 * Opens a pool. It connects on first use, and again after the server was away.
 * @param onIdleError told when the server drops a connection that nobody is using.
 */
export function openDatabase(
  url: string,
  options: { maxConnections: number; onIdleError: (error: Error) => void },
): DatabasePool {
  const pool = new pg.Pool({
    connectionString: url,
    max: options.maxConnections,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: "fanmail",
    types: { getTypeParser: typeParser },
    options: "-c timezone=UTC -c idle_in_transaction_session_timeout=60000 -c statement_timeout=60000",
  });
  let isClosing = false;
  // The pool is closed before its sockets are; a server that is stopped right after may still drop them.
  pool.on("error", (error) => {
    if (!isClosing) options.onIdleError(error);
  });
  return {
    query: (sql, params) => run(pool, sql, params),
    transaction: (work) => inTransaction(pool, work),
    close() {
      isClosing = true;
      return pool.end();
    },
  };
}

/** Numbers of jsonb have more digits than a double; those of customers are shown as they came. */
function typeParser(oid: number, format?: "text" | "binary") {
  return oid === pg.types.builtins.JSONB ? parseExactJson : pg.types.getTypeParser(oid, format);
}

async function run<Row extends pg.QueryResultRow>(
  client: pg.Pool | pg.PoolClient,
  sql: string,
  params: readonly unknown[] = [],
): Promise<Row[]> {
  return (await client.query<Row>(sql, [...params])).rows;
}

async function inTransaction<Result>(
  pool: pg.Pool,
  work: (tx: Database) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect();
  let broken: Error | undefined;
  // An error event without a listener ends the process; the query that is under way reports the same error.
  const onError = (error: Error) => {
    broken = error;
  };
  client.on("error", onError);
  try {
    await client.query("begin");
    const result = await work(transactionOf(client));
    const { command } = await client.query("commit");
    // After a failed statement whose error was swallowed, the server takes a commit for a rollback.
    if (command !== "COMMIT")
      throw new Error("The transaction was rolled back: a statement in it had failed");
    return result;
  } catch (error) {
    await client.query("rollback").catch((rollbackError: Error) => {
      // The connection is of no further use; the first error is the one to tell.
      broken = rollbackError;
    });
    throw error;
  } finally {
    client.off("error", onError);
    client.release(broken);
  }
}

function transactionOf(client: pg.PoolClient): Database {
  return {
    query: (sql, params) => run(client, sql, params),
    transaction: (work) => withSavepoint(client, work),
  };
}

async function withSavepoint<Result>(
  client: pg.PoolClient,
  work: (tx: Database) => Promise<Result>,
): Promise<Result> {
  await client.query("savepoint step");
  try {
    const result = await work(transactionOf(client));
    await client.query("release savepoint step");
    return result;
  } catch (error) {
    // Released too, so that an enclosing step finds its own savepoint under the name. Should this fail, so does
    // the commit; the first error is the one to tell.
    await client.query("rollback to savepoint step; release savepoint step").catch(() => {});
    throw error;
  }
}
