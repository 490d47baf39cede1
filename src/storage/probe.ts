import pg from "pg";
import { isNoAnswer } from "./database-errors.ts";
import type { Probed } from "./silence.ts";

/** Longer than a caller waits for a connection, so that statements on a busy server are not lost. */
const probeTimeoutMs = 5_000;

/** Asks the server, on a connection of its own, what its processes do. */
export async function probeServer(settings: pg.ClientConfig): Promise<Probed> {
  const client = new pg.Client({
    ...settings,
    connectionTimeoutMillis: probeTimeoutMs,
    query_timeout: probeTimeoutMs,
  });
  client.on("error", () => {});
  try {
    await client.connect();
    return { isSilent: false, isAtWork: await backendsAtWork(client) };
  } catch (error) {
    // One that refuses has ended its connections too, and their statements with them.
    return { isSilent: isNoAnswer(error), isAtWork: () => true };
  } finally {
    client.end().catch(() => {});
  }
}

/** Neither idle nor gone. Another user's state is null, and nobody's is told where track_activities is off. */
async function backendsAtWork(client: pg.Client): Promise<Probed["isAtWork"]> {
  const { rows } = await client.query<{ pid: number; isOwn: boolean }>(
    `select pid, pid = pg_backend_pid() as "isOwn" from pg_stat_activity where coalesce(state, '') not like 'idle%'`,
  );
  const own = rows.find(({ isOwn }) => isOwn);
  // A pooler tells numbers of its own.
  if (own?.pid !== backendOf(client)) return () => true;
  const atWork = new Set(rows.map(({ pid }) => pid));
  return (backend) => backend === null || atWork.has(backend);
}

/** The server's process behind a connection, as the server has told it for cancel requests; behind a pooler, any number. */
export function backendOf(client: pg.ClientBase): number | null {
  return "processID" in client && typeof client.processID === "number" ? client.processID : null;
}
