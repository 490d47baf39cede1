import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import type { Socket } from "node:net";

/**
 * From accept, or from a request's first byte, to the last byte of its body. SNS waits 15 s from its first byte to our
 * answer, so none of its posts is cut off here. Node.js swaps the two timeouts when headers may take longer.
 */
export const deadlines: ServerOptions = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 1_000,
  // Longer than any sender or load balancer keeps an idle connection: they must close first.
  keepAliveTimeout: 120_000,
};
export type ConnectionRules = {
  /** How many connections may be open. */
  most: number;
  /** How long a client may read nothing of an answer that is ready; 30 seconds unless given. */
  stalledMs?: number;
  /** Sent with answers to what is not an HTTP request. */
  headers: Iterable<readonly [name: string, value: string]>;
};

/** @property response what is being answered. */
type Connection = { response: ServerResponse | null };

/**
 * Guards the connections of a server. When there are more than `most`, the one that has had no complete request for
 * longest gives way to the new one, so idle connections cannot keep others out. A client that stops reading its answer is
 * cut off; one that waits for our answer is not.
 */
export function guardConnections(
  server: Server,
  { most, stalledMs = 30_000, headers }: ConnectionRules,
): void {
  /** Connections without a complete request, longest first. They last, so that a Set may hold them: see `passing`. */
  const idle = new Set<Socket>();
  /** Its entries stay while responses, which do not last, come and go in them. */
  const open = new Map<Socket, Connection>();

  server.on("connection", (socket: Socket) => {
    open.set(socket, { response: null });
    idle.add(socket);
    socket.once("close", () => {
      open.delete(socket);
      idle.delete(socket);
    });
    if (open.size > most) first(idle)?.destroy();
  });
  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    const { socket } = request;
    const connection = open.get(socket);
    if (connection) connection.response = response;
    if (announcesBody(request)) request.once("end", () => idle.delete(socket));
    else idle.delete(socket);
    response.once("close", () => {
      if (connection?.response === response) connection.response = null;
      if (!socket.destroyed) idle.add(socket);
    });
  });
  server.setTimeout(stalledMs, (socket: Socket) => {
    const response = open.get(socket)?.response;
    const isOurTurn = response && response.writableLength === 0 && socket.writableLength === 0;
    if (isOurTurn) socket.setTimeout(stalledMs);
    else socket.destroy();
  });
  server.on("clientError", (error: NodeJS.ErrnoException, socket: Socket) => {
    // Nothing may be written into the middle of an answer.
    if (socket.writable && !open.get(socket)?.response?.headersSent)
      socket.write(rejection(error.code, headers));
    socket.destroySoon();
  });
}

const unreadable: Rejection = ["400 Bad Request", "The request is not HTTP"];
const rejections: Readonly<Record<string, Rejection>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ["408 Request Timeout", "The request was not complete in time"],
  HPE_HEADER_OVERFLOW: ["431 Request Header Fields Too Large", "The request's headers are too large"],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ["413 Payload Too Large", "The request's chunk extensions are too large"],
};
type Rejection = readonly [status: string, error: string];

/** Answers what is not a complete request; Node.js alone would send an empty body. */
function rejection(code = "", headers: ConnectionRules["headers"]): string {
  const [status, error] = rejections[code] ?? unreadable;
  const body = JSON.stringify({ error });
  const lines = [
    `HTTP/1.1 ${status}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...[...headers].map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

function announcesBody({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function first(sockets: Iterable<Socket>): Socket | undefined {
  const [socket] = sockets;
  return socket;
}
