import { createHash } from "node:crypto";
import pg from "pg";
import { parseExactJson } from "../domain/exact-json.ts";
import { poolSettings } from "./connection.ts";
import { isConnectionSpoilt, isNoAnswer, isStatementLost, UnreachableError } from "./database-errors.ts";
import { backendOf, probeServer } from "./probe.ts";
import { type SilenceWatch, SilentServerError, watchForSilence } from "./silence.ts";

/*
 * Locks are taken in this order, so that transactions wait for one another and never in a ring:
 *   batch → notification → activity → recipient → order → event → tenant suppression → suppression → delivery
 *   lane → endpoint → replay → delivery
 * Several rows of a table are locked in order of their key: `order by … for update`, or an insert that is sorted. Only
 * `skip locked` and `nowait` need no order, because they never wait. Of a table whose rows are locked and inserted, the
 * existing ones are locked first: a transaction that inserts then waits only for others that insert. A batch has its notifications to itself, so that a worker may
 * also take people out of them at the end.
 */

type StatementKind = "single" | "repeated";

/** Runs SQL, in a pool or in one transaction. */
export type Database = {
  /**
   * @param kind `repeated` for inserts that every batch repeats: PostgreSQL parses and plans them once for each connection.
   *   Not for a statement that searches a table, because its plan may be from a time when the table was empty.
   */
  query<Row extends pg.QueryResultRow>(
    sql: string,
    params?: readonly unknown[],
    kind?: StatementKind,
  ): Promise<Row[]>;
  /**
   * Runs `work` in one transaction: committed when it resolves, rolled back when it rejects. Within a
   * transaction, a savepoint: what `work` did is undone when it rejects, the rest stays.
   */
  transaction<Result>(work: (tx: Database) => Promise<Result>): Promise<Result>;
};

/** `close` waits briefly for running statements, then drops their connections. */
export type DatabasePool = Database & { close(): Promise<void> };

/** The maximum for a process; BullMQ opens its own besides if it runs on Postgres. */
export const connectionsOfProcess = 12;

/** For statements that are still running when the pool is closed. */
const closeGraceMs = 2_000;

/**
 * @property onIdleError called when the server drops an idle connection.
 * @property preparesStatements false where a pooler does not keep named statements apart; one that fails turns them off too.
 */
export type DatabaseOptions = {
  maxConnections: number;
  onIdleError: (error: Error) => void;
  preparesStatements?: boolean;
};

/** Opens a pool. It connects on first use, and again after the server was away. */
export function openDatabase(url: string, options: DatabaseOptions): DatabasePool {
  const settings = poolSettings(url);
  const names = createStatementNames(options.preparesStatements ?? true);
  const pool = new pg.Pool({
    ...settings,
    max: options.maxConnections,
    types: { getTypeParser: typeParser },
  });
  const watch = watchForSilence(() => probeServer(settings));
  const connections = openConnections(pool);
  let isClosing = false;
  // The pool is closed before its sockets are; a server that stops right after may still drop them.
  pool.on("error", (error) => {
    if (!isClosing) options.onIdleError(error);
  });
  const inSession = <Result>(work: (session: Session) => Promise<Result>) =>
    withSession(connections, (client, lose) => work(sessionOf(client, { watch, names, lose })));
  return {
    query: <Row extends pg.QueryResultRow>(
      sql: string,
      params?: readonly unknown[],
      kind?: StatementKind,
    ): Promise<Row[]> =>
      inSession((session) =>
        session.query<Row>(sql, params, kind).catch((error: unknown) => {
          if (isStatementLost(error)) return session.query<Row>(sql, params);
          throw error;
        }),
      ),
    transaction: (work) => inSession((session) => inTransaction(session, work)),
    async close() {
      isClosing = true;
      const giveUp = setTimeout(watch.giveUp, closeGraceMs);
      await pool.end();
      clearTimeout(giveUp);
    },
  };
}

const readByDriver = pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ);

/** Numbers in jsonb may have more digits than a double; customers' numbers are shown as they came. */
function typeParser(oid: number, format?: "text" | "binary") {
  if (oid === pg.types.builtins.JSONB) return parseExactJson;
  return oid === pg.types.builtins.TIMESTAMPTZ ? readTime : pg.types.getTypeParser(oid, format);
}

/** Sessions are in UTC, so nearly all times look like this. The driver reads any time, in several times as long. */
const usualTime = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?\+00$/;

function readTime(text: string): unknown {
  return usualTime.test(text) ? new Date(`${text.slice(0, 10)}T${text.slice(11, -3)}Z`) : readByDriver(text);
}

/** A connection in exclusive use. */
type Session = Pick<Database, "query"> & { command(sql: string): Promise<string> };

/** The connections of a pool, without those that have become doubtful. */
type Connections = {
  /** @throws UnreachableError */
  take(): Promise<pg.PoolClient>;
  /** @param broken why it cannot be used again. */
  giveBack(client: pg.PoolClient, broken: Error | undefined): void;
};

/** What one connection has met, a silent server or a lost way to it, has met the older ones too: each would be waited for anew. */
function openConnections(pool: pg.Pool): Connections {
  const openedMs = new WeakMap<pg.PoolClient, number>();
  let silentMs = Number.NEGATIVE_INFINITY;
  pool.on("connect", (client) => openedMs.set(client, performance.now()));
  const connect = () =>
    pool.connect().catch((cause) => {
      throw new UnreachableError(cause);
    });
  return {
    async take() {
      for (;;) {
        const client = await connect();
        if ((openedMs.get(client) ?? 0) > silentMs) return client;
        client.release(true);
      }
    },
    giveBack(client, broken) {
      if (broken instanceof SilentServerError) silentMs = performance.now();
      client.release(broken);
    },
  };
}

async function withSession<Result>(
  connections: Connections,
  work: (client: pg.PoolClient, lose: (error: Error) => void) => Promise<Result>,
): Promise<Result> {
  const client = await connections.take();
  let broken: Error | undefined;
  const lose = (error: Error) => {
    broken ??= error;
  };
  // An error event without a listener ends the process; the running query reports the same error.
  client.on("error", lose);
  try {
    return await work(client, lose);
  } finally {
    client.off("error", lose);
    connections.giveBack(client, broken);
  }
}

/** Names statements; null: they are not prepared. */
type StatementNames = { of(sql: string): string | null; turnOff(): void };

/** A name follows from the text: behind some poolers the statements of all clients share their names. */
function createStatementNames(isOn: boolean): StatementNames {
  const names = new Map<string, string>();
  let areOn = isOn;
  return {
    of(sql) {
      if (!areOn) return null;
      const name = names.get(sql) ?? `fanmail_${createHash("sha256").update(sql).digest("hex").slice(0, 32)}`;
      names.set(sql, name);
      return name;
    },
    turnOff() {
      areOn = false;
    },
  };
}

/** @property lose called when the connection cannot be used any more. */
type SessionTools = { watch: SilenceWatch; names: StatementNames; lose: (error: Error) => void };

function sessionOf(client: pg.PoolClient, { watch, names, lose }: SessionTools): Session {
  let silent: SilentServerError | undefined;
  const run = async <Row extends pg.QueryResultRow>(
    text: string,
    params: readonly unknown[] = [],
    name: string | null = null,
  ) => {
    // Statements after one that is never answered would wait behind it.
    if (silent) throw silent;
    try {
      const answer = client.query<Row>({ text, values: [...params], ...(name && { name }) });
      return await watch.guard(answer, backendOf(client));
    } catch (error) {
      if (error instanceof SilentServerError) silent = error;
      if (error instanceof Error && isConnectionSpoilt(error)) lose(error);
      if (isStatementLost(error)) names.turnOff();
      throw error;
    }
  };
  return {
    query: async <Row extends pg.QueryResultRow>(
      sql: string,
      params?: readonly unknown[],
      kind?: StatementKind,
    ) => (await run<Row>(sql, params, kind === "repeated" ? names.of(sql) : null)).rows,
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
    // If the error of a failed statement was swallowed, the server rolls back on commit.
    if (command !== "COMMIT")
      throw new Error("The transaction was rolled back: a statement in it had failed");
    return result;
  } catch (error) {
    // If this fails too, the connection is lost; the first error is the one to report.
    await session.command("rollback").catch(() => {});
    throw error;
  }
}

function transactionOf(session: Session): Database {
  return {
    query: (sql, params, kind) => session.query(sql, params, kind),
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
    // Also released, so that an enclosing step finds its own savepoint under the name. If this fails, so does the
    // commit; the first error is the one to report.
    await session.command("rollback to savepoint step; release savepoint step").catch(() => {});
    throw error;
  }
}

/** 9 s in all: more than a busy host takes to accept a connection, less than a supervisor takes for a start. */
const attemptsAtStart = 3;

/**
 * Waits for a server at a process's start, when nobody waits for an answer to a request yet.
 * @throws UnreachableError when it refuses, or has not answered a third attempt.
 */
export async function awaitServer(db: Database, attempts: number = attemptsAtStart): Promise<void> {
  try {
    await db.query("select 1");
  } catch (error) {
    if (attempts === 1 || !(error instanceof UnreachableError) || !isNoAnswer(error.cause)) throw error;
    await awaitServer(db, attempts - 1);
  }
}

/** @throws the server's error, unless the database answers and accepts changes. */
export async function assertWritable(db: Database): Promise<void> {
  await db.query(
    `do $$ begin
       if current_setting('transaction_read_only')::boolean then
         raise exception 'the database is read-only' using errcode = 'read_only_sql_transaction';
       end if;
     end $$`,
  );
}
