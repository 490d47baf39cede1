import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { v7 } from "uuid";
import type { Context } from "../context.ts";
import { connectionLimit } from "../descriptors.ts";
import { deadlines, guardConnections } from "./connection-guard.ts";

/** A server of this process. */
export type HttpServer = {
  /** `http://host:port` */
  url: string;
  /** Stops accepting and answers what has been received. */
  close(): Promise<void>;
};

/** Sent with every answer. Answers hold secrets and personal data; a page itself says what it may load. */
const usualHeaders = [
  ["cache-control", "no-store"],
  ["content-security-policy", "default-src 'none'; frame-ancestors 'none'"],
  ["referrer-policy", "no-referrer"],
  ["x-content-type-options", "nosniff"],
  ["x-frame-options", "DENY"],
] as const;
/** After this, connections that still hold a request are cut; SNS sends it again. */
const closeGraceMs = 4_000;

/** Listens on a port; every answer has the usual headers and an X-Request-Id. */
export async function serve(
  { config }: Pick<Context, "config">,
  port: number,
  answer: RequestListener,
): Promise<HttpServer> {
  const server = createServer(deadlines, (request, response) => {
    for (const [name, value] of usualHeaders) response.setHeader(name, value);
    response.setHeader("x-request-id", requestId(request) ?? nextRequestId());
    if (!server.listening) response.setHeader("connection", "close");
    answer(request, response);
  });
  guardConnections(server, { most: connectionLimit(), headers: usualHeaders });
  await listen(server, config.host, port);
  return { url: urlOf(server), close: () => closeServer(server) };
}

const randomOfProcess = randomBytes(16);
let requests = randomOfProcess.readUInt32LE();

/** A UUIDv7 whose random part is that of the process, and its counter: new random bytes cost as much as reading a request. */
function nextRequestId(): string {
  requests = (requests + 1) | 0;
  return v7({ random: randomOfProcess, seq: requests });
}

/** The client's own id, if a log line can hold it. */
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
  // A connection becomes idle only after its pending answer.
  const idle = setInterval(() => server.closeIdleConnections(), 20);
  const cut = setTimeout(() => server.closeAllConnections(), closeGraceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
