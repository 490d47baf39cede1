import { createServer, type IncomingHttpHeaders } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";

export type Received = { headers: IncomingHttpHeaders; body: string };
export type Answer = {
  status: number;
  headers?: Record<string, string>;
  body?: string;
  /** Written as it is instead of an answer; then the connection is closed. */
  raw?: string;
};

export type TestSink = { url: string; received: Received[]; close(): Promise<void> };

/** A customer's system that keeps what it gets and answers as the test says. */
export async function webhookSink(
  answer: (request: Received, number: number) => Answer | Promise<Answer>,
): Promise<TestSink> {
  const received: Received[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const one = { headers: request.headers, body: Buffer.concat(chunks).toString("utf8") };
    received.push(one);
    const { status, headers, body, raw } = await answer(one, received.length);
    if (raw !== undefined) request.socket.end(raw);
    else response.writeHead(status, headers).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    received,
    close() {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** A customer's system that does not speak HTTP as it should: `answer` has the socket once a whole request has come. */
export async function rawSink(
  answer: (socket: Socket) => void,
): Promise<{ url: string; close(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const server = createSocketServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    let received = "";
    socket.on("data", (chunk) => {
      const before = received;
      received += chunk.toString("latin1");
      // Every body of ours is a JSON object.
      if (received.endsWith("}}") && !before.endsWith("}}")) answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    close() {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
