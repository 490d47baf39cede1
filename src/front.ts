import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Context } from "./context.ts";
import { createApp } from "./http/app.ts";
import type { Intake } from "./ingest/intake.ts";
import { createReceiver, isIngest } from "./ingest/receiver.ts";

/** The HTTP side of a process. */
export type Front = {
  /** `http://host:port` */
  url: string;
  /** Stops accepting and answers what has been received. */
  close(): Promise<void>;
};

/** Longer than any sender or load balancer keeps an idle connection: who closes first must not be us. */
const keepAliveTimeoutMs = 120_000;
const requestTimeoutMs = 30_000;
/** After this, connections that still hold a request are cut; SNS sends it again. */
const closeGraceMs = 4_000;

/** Listens with the receiver and the API on one port. */
export async function startFront(context: Context, intake: Intake): Promise<Front> {
  const receive = createReceiver({ intake, rawToken: context.config.snsRawToken, log: context.log });
  const app = createApp(context);
  const server = createServer((request, response) => {
    response.setHeader("x-request-id", requestId(request) ?? context.clock.newId());
    if (!server.listening) response.setHeader("connection", "close");
    if (isIngest(request)) void receive(request, response);
    else app(request, response);
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  server.headersTimeout = keepAliveTimeoutMs + 5_000;
  server.requestTimeout = requestTimeoutMs;
  await listen(server, context.config.host, context.config.port);
  return { url: urlOf(server), close: () => closeServer(server) };
}

/** The caller's own id, where it is one that a log line can hold. */
function requestId({ headers }: IncomingMessage): string | null {
  const given = headers["x-request-id"];
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : null;
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => reject(new Error(`Cannot listen on ${host}:${port}`, { cause })));
    server.listen(port, host, resolve);
  });
}

function urlOf(server: Server): string {
  // A TCP server's address is never a string.
  const { address, port, family } = server.address() as AddressInfo;
  return `http://${family === "IPv6" ? `[${address}]` : address}:${port}`;
}

async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection becomes idle after the answer that it waits for.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
