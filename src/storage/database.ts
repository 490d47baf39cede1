import pg from "pg";
import { parseExactJson } from "../domain/exact-json.ts";
import { poolSettings } from "./connection.ts";
import { isConnectionSpoilt, isNoAnswer, UnreachableError } from "./database-errors.ts";
import { type SilenceWatch, SilentServerError, watchForSilence } from "./silence.ts";

/*
 * Locks are taken in this order, so that transactions wait for one another and never in a ring:
 *   batch → notification → activity → recipient → order → event → tenant suppression → suppression → delivery
 *   lane → endpoint → replay → delivery
 * Several rows of a table are locked in order of their key: `order by … for update`, or an insert that is sorted. Only
 * `skip locked` needs no order, because it never waits. A batch has its notifications to itself, so that a worker may
 * also take people out of them at the end.
 */

/** Runs SQL: a pool, or one transaction of it. */
export type Database = {
  query<Row extends pg.QueryResultRow>(sql: string, params?: readonly unknown[]): Promise<Row[]>;
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Within a
   * transaction, a savepoint: what `work` did is undone when it rejects, the rest stays.
   */
  transaction<Result>(work: (tx: Database) => Promise<Result>): Promise<Result>;
};

/** `close` waits a little for statements that run, then drops their connections. */
export type DatabasePool = Database & { close(): Promise<void> };

/** The most that a process opens at a time; BullMQ opens its own beside them where it runs on Postgres. */
export const connectionsOfProcess = 12;

/** For statements that nobody waits for any more when the pool is closed. */
const closeGraceMs = 2_000;

/**
 * Opens a pool. It connects on first use, and again after the server was away.
 * @param onIdleError told when the server drops a connection that nobody is using.
 */
export function openDatabase(
  url: string,
  options: { maxConnections: number; onIdleError: (error: Error) => void },
): DatabasePool {
  const settings = poolSettings(url);
  const pool = new pg.Pool({
    ...settings,
    max: options.maxConnections,
    types: { getTypeParser: typeParser },
  });
  const watch = watchForSilence(() => isServerSilent(settings));
  let isClosing = false;
  // The pool is closed before its sockets are; a server that is stopped right after may still drop them.
  pool.on("error", (error) => {
    if (!isClosing) options.onIdleError(error);
  });
  return {
    query: (sql, params) => withSession(pool, watch, (session) => session.query(sql, params)),
    transaction: (work) => withSession(pool, watch, (session) => inTransaction(session, work)),
    async close() {
      isClosing = true;
      const giveUp = setTimeout(watch.giveUp, closeGraceMs);
      await pool.end();
      clearTimeout(giveUp);
    },
  };
}

/** Numbers of jsonb have more digits than a double; those of customers are shown as they came. */
function typeParser(oid: number, format?: "text" | "binary") {
  return oid === pg.types.builtins.JSONB ? parseExactJson : pg.types.getTypeParser(oid, format);
}

/** A connection that one caller has to itself. */
type Session = Pick<Database, "query"> & { command(sql: string): Promise<string> };

async function withSession<Result>(
  pool: pg.Pool,
  watch: SilenceWatch,
  work: (session: Session) => Promise<Result>,
): Promise<Result> {
  const client = await pool.connect().catch((cause) => {
    throw new UnreachableError(cause);
  });
  let broken: Error | undefined;
  const lose = (error: Error) => {
    broken ??= error;
  };
  // An error event without a listener ends the process; the query that is under way reports the same error.
  client.on("error", lose);
  try {
    return await work(sessionOf(client, watch, lose));
  } finally {
    client.off("error", lose);
    client.release(broken);
  }
}

/** @param lose told when the connection is of no further use. */
function sessionOf(client: pg.PoolClient, watch: SilenceWatch, lose: (error: Error) => void): Session {
  let silent: SilentServerError | undefined;
  const run = async <Row extends pg.QueryResultRow>(sql: string, params: readonly unknown[] = []) => {
    // What is asked after a statement that was never answered waits behind it.
    if (silent) throw silent;
    try {
      return await watch.guard(client.query<Row>(sql, [...params]));
    } catch (error) {
      if (error instanceof SilentServerError) silent = error;
      if (error instanceof Error && isConnectionSpoilt(error)) lose(error);
      throw error;
    }
  };
  return {
    query: async <Row extends pg.QueryResultRow>(sql: string, params?: readonly unknown[]) =>
      (await run<Row>(sql, params)).rows,
    command: async (sql) => (await run(sql)).command,
  };
}

async function inTransaction<Result>(
  session: Session,
  work: (tx: Database) => Promise<Result>,
): Promise<Result> {
  try {
    await session.command("begin isolation level read committed");
    const result = await work(transactionOf(session));
    const command = await session.command("commit");
    // After a failed statement whose error was swallowed, the server takes a commit for a rollback.
    if (command !== "COMMIT")
      throw new Error("The transaction was rolled back: a statement in it had failed");
    return result;
  } catch (error) {
    // Should this fail too, the connection is lost, and the first error is the one to tell.
    await session.command("rollback").catch(() => {});
    throw error;
  }
}

function transactionOf(session: Session): Database {
  return {
    query: (sql, params) => session.query(sql, params),
    transaction: (work) => withSavepoint(session, work),
  };
}

async function withSavepoint<Result>(
  session: Session,
  work: (tx: Database) => Promise<Result>,
): Promise<Result> {
  await session.command("savepoint step");
  try {
    const result = await work(transactionOf(session));
    await session.command("release savepoint step");
    return result;
  } catch (error) {
    // Released too, so that an enclosing step finds its own savepoint under the name. Should this fail, so does
    // the commit; the first error is the one to tell.
    await session.command("rollback to savepoint step; release savepoint step").catch(() => {});
    throw error;
  }
}

/** Longer than a caller waits for a connection: a server that is only busy must not lose the statements it works on. */
const probeTimeoutMs = 5_000;

/** Whether the server takes no new connection either, and does not even refuse it. */
async function isServerSilent(settings: pg.ClientConfig): Promise<boolean> {
  const client = new pg.Client({ ...settings, connectionTimeoutMillis: probeTimeoutMs });
  client.on("error", () => {});
  try {
    await client.connect();
    return false;
  } catch (error) {
    return isNoAnswer(error);
  } finally {
    client.end().catch(() => {});
  }
}

/** @throws an error of the server unless the database answers and takes changes. */
export async function assertWritable(db: Database): Promise<void> {
  await db.query(
    `do $$ begin
       if current_setting('transaction_read_only')::boolean then
         raise exception 'the database is read-only' using errcode = 'read_only_sql_transaction';
       end if;
     end $$`,
  );
}
