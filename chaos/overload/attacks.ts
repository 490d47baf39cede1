import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** What strangers do to the receiver's port until `over` aborts. @returns how often they did it. */
export type Attack = { name: string; run(port: number, over: AbortSignal): Promise<number> };

const connections = 5_000;
const slowConnections = 2_000;
const bigAtOnce = 4;
const bigBytes = 4 * 1024 * 1024;
const headerBytes = 256 * 1024;

export const attacks: readonly Attack[] = [
  { name: `${connections} idle connections`, run: idle },
  { name: `${slowConnections} requests of a byte a second`, run: slowLoris },
  { name: "bodies of 4 MiB", run: (port, over) => repeat(port, over, bigBody()) },
  { name: "headers of 256 KiB", run: (port, over) => repeat(port, over, bigHeader()) },
];

/** Connections that are closed are opened again. */
async function idle(port: number, over: AbortSignal): Promise<number> {
  return held(port, over, connections, () => {});
}

async function slowLoris(port: number, over: AbortSignal): Promise<number> {
  const request = `POST /ingest/sns HTTP/1.1\r\nhost: fanmail\r\ncontent-length: 1000000\r\n\r\n${"x".repeat(1000)}`;
  return held(port, over, slowConnections, (socket) => {
    let at = 0;
    const timer = setInterval(() => socket.write(request[at++] ?? "x"), 1_000);
    socket.on("close", () => clearInterval(timer));
  });
}

async function held(
  port: number,
  over: AbortSignal,
  count: number,
  begin: (socket: Socket) => void,
): Promise<number> {
  const sockets = new Set<Socket>();
  let opened = 0;
  const open = () => {
    const socket = connect(port, "127.0.0.1");
    opened++;
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.on("connect", () => begin(socket));
  };
  while (!over.aborted) {
    // A burst of all of them at once would overflow the queue of the port before it is the receiver's turn.
    const atOnce = opened < count ? 250 : 5;
    for (let one = 0; one < atOnce && sockets.size < count; one++) open();
    await sleep(50);
  }
  for (const socket of sockets) socket.destroy();
  return opened;
}

function bigBody(): Buffer {
  const head = `POST /ingest/sns HTTP/1.1\r\nhost: fanmail\r\ncontent-length: ${bigBytes}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), Buffer.alloc(bigBytes, "x")]);
}

function bigHeader(): Buffer {
  return Buffer.from(
    `POST /ingest/sns HTTP/1.1\r\nhost: fanmail\r\nx-big: ${"x".repeat(headerBytes)}\r\n\r\n`,
  );
}

async function repeat(port: number, over: AbortSignal, request: Buffer): Promise<number> {
  let sent = 0;
  const line = async () => {
    while (!over.aborted) {
      await sendOnce(port, request);
      sent++;
    }
  };
  await Promise.all(Array.from({ length: bigAtOnce }, line));
  return sent;
}

/** Sends it and waits until the connection ends, or for a second. */
function sendOnce(port: number, request: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const end = () => socket.destroy();
    const timer = setTimeout(end, 1_000);
    socket
      .on("error", () => {})
      .on("data", end)
      .on("close", () => {
        clearTimeout(timer);
        resolve();
      });
    socket.write(request);
  });
}
