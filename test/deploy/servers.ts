import { isDeepStrictEqual } from "node:util";
import pg from "pg";
import { startEmbeddedPostgres } from "../../src/embedded/embedded-postgres.ts";
import { type Compose, serviceOf } from "./compose-file.ts";
import { freePort, runCommand } from "./running-process.ts";

/** `address` is `host:port`; `stop` resolves with the exit code. */
export type Server = { address: string; stop(): Promise<number | null> };

/** The embedded server, with the settings and the password of the compose file. */
export async function startPostgres(compose: Compose, directory: string): Promise<Server> {
  const { command, environment } = serviceOf(compose, "postgres");
  const pairs = command.filter((_, index) => command[index - 1] === "-c").map((pair) => pair.split("="));
  const server = await startEmbeddedPostgres({ dataDir: directory, settings: Object.fromEntries(pairs) });
  const url = new URL(server.url);
  // Both make a superuser and its database at their first start, of the same names; the password is ours to choose.
  const made = { POSTGRES_USER: url.username, POSTGRES_DB: url.pathname.slice(1) };
  if (!isDeepStrictEqual({ ...environment, ...made }, environment))
    throw new Error("The compose file names another role or database than the embedded server");
  const client = new pg.Client({ connectionString: url.href });
  await client.connect();
  const password = pg.escapeLiteral(environment["POSTGRES_PASSWORD"] ?? "");
  await client.query(`alter role ${pg.escapeIdentifier(url.username)} password ${password}`);
  await client.end();
  return { address: url.host, stop: () => server.stop().then(() => 0) };
}

/** The real server, with the flags of the compose file. */
export async function startRedis(compose: Compose, directory: string): Promise<Server> {
  const { command, stop_signal } = serviceOf(compose, "redis");
  const port = await freePort();
  const place = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory];
  const running = runCommand([...command, ...place]);
  await running.line(/Ready to accept connections/);
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => (await running.stop(stop_signal)).code,
  };
}
