import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { topicArn } from "../../bench/corpus/sign.ts";

/** What strangers do to the receiver's port until `over` aborts. @returns how often they did it. */
export type Attack = { name: string; run(port: number, over: AbortSignal): Promise<number> };

const mebibyte = 1024 * 1024;
const atOnce = 4;

export const attacks: readonly Attack[] = [
  { name: "5,000 idle connections", run: (port, over) => held(port, over, 5_000, () => {}) },
  { name: "4,000 requests of a byte a second", run: (port, over) => held(port, over, 4_000, slowly) },
  { name: "bodies of 4 MiB", run: (port, over) => repeat(port, over, post("x".repeat(4 * mebibyte))) },
  { name: "forged bodies of just under 1 MiB", run: (port, over) => repeat(port, over, forged()) },
  { name: "1,500 bodies of 1 MiB that do not end", run: (port, over) => held(port, over, 1_500, unended) },
  { name: "bodies in pieces of one byte", run: (port, over) => repeat(port, over, inPieces()) },
  { name: "headers of 256 KiB", run: (port, over) => repeat(port, over, post("", "x".repeat(mebibyte / 4))) },
];

/** A request, with a header that has this value. */
function post(body: string, value = "x"): Buffer {
  return Buffer.from(`${head(`content-length: ${Buffer.byteLength(body)}`, value)}${body}`);
}

function head(framing: string, value = "x"): string {
  return `POST /ingest/sns HTTP/1.1\r\nhost: fanmail\r\n${framing}\r\nx-value: ${value}\r\n\r\n`;
}

/** A message of an allow-listed topic, as large as it may be, with a signature that is not SNS's. */
function forged(): Buffer {
  const fields = {
    Type: "Notification",
    MessageId: "0d9f4c1e-1f6b-4c1e-9a53-2f7d9b0d6c41",
    TopicArn: topicArn,
    Message: "x".repeat(mebibyte - 1_000),
    Timestamp: new Date().toISOString(),
    SignatureVersion: "1",
    Signature: Buffer.alloc(256).toString("base64"),
    SigningCertURL: "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem",
  };
  return post(JSON.stringify(fields));
}

function inPieces(): Buffer {
  return Buffer.from(`${head("transfer-encoding: chunked")}${"1\r\nx\r\n".repeat(mebibyte - 1)}0\r\n\r\n`);
}

function slowly(socket: Socket): void {
  const request = head("content-length: 1000000");
  let at = 0;
  const timer = setInterval(() => socket.write(request[at++] ?? "x"), 1_000);
  socket.on("close", () => clearInterval(timer));
}

/** All of a body but its last byte. */
function unended(socket: Socket): void {
  socket.write(head(`content-length: ${mebibyte}`));
  socket.write(allButOne);
}
const allButOne = Buffer.alloc(mebibyte - 1, "x");

/** Keeps so many connections open; those that are closed are opened again. */
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
    socket.on("connect", () => begin(socket)).resume();
  };
  while (!over.aborted) {
    // A burst of all of them at once would overflow the queue of the port before it is the receiver's turn.
    const burst = opened < count ? 250 : 5;
    for (let one = 0; one < burst && sockets.size < count; one++) open();
    await sleep(50);
  }
  for (const socket of sockets) socket.destroy();
  return opened;
}

async function repeat(port: number, over: AbortSignal, request: Buffer): Promise<number> {
  let sent = 0;
  const line = async () => {
    while (!over.aborted) {
      await sendOnce(port, request);
      sent++;
    }
  };
  await Promise.all(Array.from({ length: atOnce }, line));
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
