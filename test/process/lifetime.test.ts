import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findPostmaster } from "../../src/embedded/postmaster.ts";
import { type Ended, run } from "../support/command.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { dataDirectory, type FanmailProcess, fanmail, runProcess } from "../support/fanmail-process.ts";
import { atLength } from "../support/length.ts";
import { until } from "../support/wait.ts";

/*
 * The built program, while what it needs is away, and whatever signal ends it.
 */

let directory: Awaited<ReturnType<typeof dataDirectory>>;
const processes: FanmailProcess[] = [];
beforeEach(async () => {
  directory = await dataDirectory();
});
afterEach(async () => {
  for (const { child } of processes.splice(0)) child.kill("SIGKILL");
  await directory.remove();
});

function start(args: string[], environment: Record<string, string>): FanmailProcess {
  const started = fanmail(args, { PORT: "0", DATA_DIR: directory.path, ...environment });
  processes.push(started);
  return started;
}

const pgdata = () => join(directory.path, "postgres/data");
const isPostgresRunning = async () => (await findPostmaster(pgdata())) !== null;

describe("with the embedded PostgreSQL", () => {
  // npm passes on a Ctrl-C that the terminal has sent to all of its processes.
  const signals: [string, NodeJS.Signals[]][] = [
    ["the terminal is closed", ["SIGHUP"]],
    ["Ctrl-C comes three times", ["SIGINT", "SIGINT", "SIGINT"]],
    ["signals are mixed", ["SIGINT", "SIGHUP", "SIGTERM"]],
  ];
  test.each(atLength(signals.slice(-1), signals))(
    "%s: it ends in order, and PostgreSQL with it",
    async (_what, kinds) => {
      const service = start(["start"], { LOG_LEVEL: "warn" });
      await service.line(/listens on/);
      for (const signal of kinds) service.child.kill(signal);
      expect(await service.ended).toMatchObject({ code: 0, stderr: "" });
      expect(await isPostgresRunning()).toBe(false);
    },
  );

  test("SIGTERM while PostgreSQL is being started ends both", async () => {
    const service = start(["start"], {});
    await until("PostgreSQL starts", isPostgresRunning, 50);
    service.child.kill("SIGTERM");
    expect(await service.ended).toMatchObject({ code: 0, stderr: "" });
    expect(await isPostgresRunning()).toBe(false);
  });

  test("no variable of PostgreSQL's clients is meant for it", async () => {
    const environment = {
      PGAPPNAME: "other",
      PGCLIENT_ENCODING: "LATIN1",
      PGDATABASE: "other",
      PGHOST: "db.example.com",
      PGOPTIONS: "-c default_transaction_read_only=on -c search_path=nowhere",
      PGPASSWORD: "other",
      PGPORT: "1",
      PGREPLICATION: "database",
      PGSERVICE: "other",
      PGSSLMODE: "verify-full",
      PGSSLNEGOTIATION: "direct",
      PGSSLROOTCERT: "/nowhere/root.crt",
      PGUSER: "other",
    };
    const ended = await runProcess(["migrate"], { DATA_DIR: directory.path, ...environment });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(ended.stdout).toMatch(/^Applied: /);
  });
});

describe("with a PostgreSQL of one's own", () => {
  let database: TestDatabase;
  let environment: Record<string, string>;
  beforeEach(async () => {
    database = await testDatabase();
    environment = { DATABASE_URL: database.url, ENCRYPTION_KEY: randomBytes(32).toString("base64") };
  });
  afterEach(() => database.drop());

  test("SIGTERM while it waits for another process's migration ends it", async () => {
    await database.db.transaction(async (tx) => {
      await tx.query("select pg_advisory_xact_lock($1)", [0x66616e6d]);
      const service = start(["start"], environment);
      const waits = `select from pg_locks join pg_database on oid = database
        where locktype = 'advisory' and not granted and datname = current_database()`;
      await until("it waits", async () => (await tx.query(waits)).length > 0);
      service.child.kill("SIGTERM");
      expect(await service.ended).toMatchObject({ code: 0 });
    });
  });

  const redis: [string, () => Promise<Server>][] = [
    ["away", async () => (await listening(() => {})).close()],
    ["silent", () => listening(() => {})],
    ["closing every connection", () => listening((socket) => void socket.destroy())],
    [
      "asking for a password",
      () => listening((socket) => refuse(socket, "-NOAUTH Authentication required.\r\n")),
    ],
  ];
  test.each(atLength(redis.slice(0, 1), redis))(
    "Redis is %s at the start: each process says so, goes on, and heeds SIGTERM",
    async (_what, listen) => {
      const server = await listen();
      const port = (server.address() as AddressInfo | null)?.port ?? 1;
      const ended: Promise<Ended>[] = [];
      for (const [role, line] of [
        ["receiver", /listens on (\S+)/],
        ["worker", /fanmail works/],
      ] as const) {
        const started = start([role], { ...environment, REDIS_URL: `redis://127.0.0.1:${port}` });
        const [, url] = await started.line(line);
        if (url) expect((await fetch(`${url}/readyz`)).status).toBe(200);
        started.child.kill("SIGTERM");
        ended.push(started.ended);
      }
      for (const { code, stderr } of await Promise.all(ended)) {
        expect(code).toBe(0);
        expect(stderr).toContain('"level":"warn"');
        expect(stderr).toMatch(/Redis does not answer yet|ECONNREFUSED|NOAUTH|EPIPE|ECONNRESET/);
      }
      server.close();
    },
  );

  const unusable: [string, (url: URL) => void, RegExp][] = [
    ["away", (url) => Object.assign(url, { port: "1" }), /connect ECONNREFUSED 127\.0\.0\.1:1/],
    [
      "of another password",
      (url) => Object.assign(url, { password: "guess" }),
      /password authentication failed/,
    ],
    ["of no known name", (url) => Object.assign(url, { hostname: "nowhere.invalid" }), /nowhere\.invalid/],
    [
      "without that database",
      (url) => Object.assign(url, { pathname: "/nothing" }),
      /database "nothing" does not exist/,
    ],
    ["without TLS", (url) => url.searchParams.set("sslmode", "require"), /does not support SSL/],
  ];
  test.each(unusable)("a server %s: it ends, and says why", async (_what, change, reason) => {
    const url = new URL(database.url);
    change(url);
    const { code, stderr } = await run(["start"], {
      ...environment,
      DATABASE_URL: url.href,
      PORT: "0",
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(reason);
    expect(stderr).not.toMatch(/guess|fanmail:[0-9a-f]{20}/);
  });
});

async function listening(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.resume();
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function refuse(socket: Socket, reply: string): void {
  socket.on("data", () => socket.write(reply));
}
