import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";

/** The bus of a Redis Cluster's node is at its port plus 10,000. */
const highest = 50_000;

/** A port that was free a moment ago, for servers that must come back on the same one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    // A server that listens on a port has an AddressInfo.
    const { port } = server.address() as AddressInfo;
    server.close();
    await once(server, "close");
    if (port < highest) return port;
  }
}
