import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Customers' systems, all on one host. */
export type LaneSink = {
  /** `http://host:port` */
  origin: string;
  /** When each delivery first arrived, by its `webhook-id`; in milliseconds of `performance.now()`. */
  arrivals: Map<string, number>;
  /** All POSTs, repeated ones too. */
  posts(): number;
  /** Forgets all arrivals and POSTs. */
  forget(): void;
  /** From now on exactly these paths accept requests and never respond. */
  hang(paths: readonly string[]): void;
  /** POSTs in flight to hanging paths. */
  held(): number;
  /** Aborts these POSTs. */
  breakOff(): void;
  close(): Promise<void>;
};

export async function laneSink(): Promise<LaneSink> {
  const arrivals = new Map<string, number>();
  let posts = 0;
  const held = new Set<ServerResponse>();
  let hanging: ReadonlySet<string> = new Set();
  const server = createServer((request, response) => {
    const arrivedMs = performance.now();
    posts++;
    request.resume();
    if (hanging.has(request.url ?? "")) {
      held.add(response);
      response.on("close", () => held.delete(response));
      return;
    }
    const id = String(request.headers["webhook-id"]);
    if (!arrivals.has(id)) arrivals.set(id, arrivedMs);
    request.on("end", () => response.writeHead(204).end());
  });
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    // A server that listens on a port has an AddressInfo.
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrivals,
    posts: () => posts,
    forget() {
      arrivals.clear();
      posts = 0;
    },
    hang(paths) {
      hanging = new Set(paths);
    },
    held: () => held.size,
    breakOff() {
      for (const response of held) response.destroy();
    },
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
