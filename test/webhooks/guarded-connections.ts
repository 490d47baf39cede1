import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { afterAll, beforeAll } from "vitest";
import { type AddressGuard, createAddressGuard } from "../../src/webhooks/address-guard.ts";
import { type WebhookConnections, webhookConnections } from "../../src/webhooks/connections.ts";
import { errorCode, resolveHost } from "../../src/webhooks/resolve-host.ts";
import { createSocketRoom } from "../../src/webhooks/socket-room.ts";
import { type DnsServer, dnsServer } from "../support/dns-server.ts";
import { named } from "./ssrf-corpus.ts";

/** The code of an error for an address that may not be posted to. */
export const blocked = "FANMAIL_BLOCKED_ADDRESS";

/** A listener on this machine, a name server, and connections that a guard watches, for the tests of a file. */
export class GuardedConnections {
  dns!: DnsServer;
  listener!: Listener;
  /** Allows public addresses alone. */
  guard!: AddressGuard;
  connections!: WebhookConnections;
  #opened: WebhookConnections[] = [];

  constructor() {
    beforeAll(async () => {
      this.dns = await dnsServer();
      for (const [name, addresses] of Object.entries(named)) this.dns.tell(name, addresses);
      this.listener = await listen(["127.0.0.1", "::1"]);
      this.guard = this.guardFor([]);
      this.connections = this.connectionsBy(this.guard);
    });
    afterAll(async () => {
      for (const one of this.#opened) one.destroy();
      await this.listener?.close();
      await this.dns?.close();
    });
  }

  guardFor = (allowedCidrs: string[]): AddressGuard => {
    const nameServers = [this.dns.address];
    return createAddressGuard({
      allowedCidrs,
      resolveHost: (hostname) => resolveHost(hostname, { nameServers, timeoutMs: 2_000 }),
    });
  };

  connectionsBy = (guard: AddressGuard): WebhookConnections => {
    const made = webhookConnections(guard, createSocketRoom(100));
    this.#opened.push(made);
    return made;
  };

  /** A spelling of a URL with the listener's port. */
  withPort = (spelling: string) => spelling.replaceAll("PORT", String(this.listener.port));

  /** @returns the status, or the code of the error. */
  post = async (url: string, by = this.connections): Promise<number | string> => {
    try {
      const request = by.post(url, []);
      request.end("{}");
      const [answer]: IncomingMessage[] = await once(request, "response");
      for await (const _ of answer ?? []);
      return answer?.statusCode ?? 0;
    } catch (error) {
      return errorCode(error);
    }
  };
}

type Listener = { port: number; connections: number; requests: number; close(): Promise<void> };

/** Real servers on one port of the addresses that this machine has; they answer 200 to plain HTTP. */
async function listen(addresses: string[]): Promise<Listener> {
  const servers: Server[] = [];
  const counts = { connections: 0, requests: 0 };
  let port = 0;
  for (const address of addresses) {
    const server = createHttpServer((_request, response) => {
      counts.requests += 1;
      response.end("here");
    }).on("connection", () => {
      counts.connections += 1;
    });
    const isOpen = await bind(server, port, address);
    if (!isOpen) continue;
    port = (server.address() as AddressInfo).port;
    servers.push(server);
  }
  return Object.assign(counts, {
    port,
    close: async () => {
      for (const server of servers) await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** @returns false where the machine has no such address. */
export function bind(server: Server, port: number, address: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if (/^(EADDRNOTAVAIL|EAFNOSUPPORT)$/.test(errorCode(error))) resolve(false);
      else reject(error);
    });
    server.listen(port, address, () => resolve(true));
  });
}
