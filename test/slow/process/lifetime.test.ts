import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { findPostmaster } from "../../../src/embedded/postmaster.ts";
import { test } from "../../process/process-test.ts";
import type { Ended } from "../../support/command.ts";
import { testDatabase } from "../../support/database.ts";
import { until } from "../../support/wait.ts";

/*
 * The built program, whatever signal ends it, and while Redis is away.
 */

const isPostgresRunning = async (dataDir: string) =>
  (await findPostmaster(join(dataDir, "postgres/data"))) !== null;

describe("with the embedded PostgreSQL", () => {
  // npm passes on a Ctrl-C that the terminal has sent to all of its processes.
  test.for<[string, NodeJS.Signals[]]>([
    ["the terminal is closed", ["SIGHUP"]],
    ["Ctrl-C comes three times", ["SIGINT", "SIGINT", "SIGINT"]],
    ["signals are mixed", ["SIGINT", "SIGHUP", "SIGTERM"]],
  ])("%s: it ends in order, and PostgreSQL with it", async ([, signals], { dataDir, start }) => {
    const service = start(["start"], { LOG_LEVEL: "warn" });
    await service.line(/listens on/);
    for (const signal of signals) service.child.kill(signal);
    expect(await service.ended).toMatchObject({ code: 0, stderr: "" });
    expect(await isPostgresRunning(dataDir)).toBe(false);
  });

  test("SIGTERM while PostgreSQL is being started ends both", async ({ dataDir, start }) => {
    const service = start(["start"]);
    await until("PostgreSQL starts", () => isPostgresRunning(dataDir), 50);
    service.child.kill("SIGTERM");
    expect(await service.ended).toMatchObject({ code: 0, stderr: "" });
    expect(await isPostgresRunning(dataDir)).toBe(false);
  });
});

describe("Redis", () => {
  test.for<[string, () => Promise<Server>]>([
    ["away", async () => (await listening(() => {})).close()],
    ["silent", () => listening(() => {})],
    ["closing every connection", () => listening((socket) => void socket.destroy())],
    [
      "asking for a password",
      () => listening((socket) => refuse(socket, "-NOAUTH Authentication required.\r\n")),
    ],
  ])(
    "is %s at the start: each process says so, goes on, and heeds SIGTERM",
    async ([, listen], { start }) => {
      const [server, database] = await Promise.all([listen(), testDatabase()]);
      const port = (server.address() as AddressInfo | null)?.port ?? 1;
      const environment = {
        DATABASE_URL: database.url,
        ENCRYPTION_KEY: randomBytes(32).toString("base64"),
        REDIS_URL: `redis://127.0.0.1:${port}`,
      };
      const ended: Promise<Ended>[] = [];
      for (const [role, line] of [
        ["receiver", /listens on (\S+)/],
        ["worker", /fanmail works/],
      ] as const) {
        const started = start([role], environment);
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
      await database.drop();
    },
  );
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
