import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createBodyReader } from "../../src/receive/request-body.ts";
import { until } from "../support/wait.ts";

let server: Server;
let sockets: Socket[];
/** What became of each body, by the path that it was posted to. */
let outcomes: Map<string, string>;

beforeEach(async () => {
  const read = createBodyReader({ maxBytes: 1_000, maxPieces: 20, maxBytesTogether: 2_500 });
  sockets = [];
  outcomes = new Map();
  server = createServer(async (request, response) => {
    const outcome = await read(request).catch((error: Error) => error.message);
    outcomes.set(request.url ?? "", outcome);
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
afterEach(() => {
  for (const socket of sockets) socket.destroy();
  server.close();
});

/** Posts the beginning of a body of this length. */
async function begin(path: string, length: number, beginning: string): Promise<Socket> {
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  sockets.push(socket);
  const sent = once(socket, "connect");
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n\r\n${beginning}`);
  await sent;
  return socket;
}

async function piecewise(path: string, pieces: readonly string[]): Promise<string | undefined> {
  const chunks = pieces.map((piece) => `${Buffer.byteLength(piece).toString(16)}\r\n${piece}\r\n`).join("");
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  sockets.push(socket);
  socket.write(`POST ${path} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`);
  await until("it is read", () => outcomes.has(path));
  return outcomes.get(path);
}

test("a body is what its pieces are, one after the other", async () => {
  expect(await piecewise("/one", ["a", "bc", "d".repeat(500), "é"])).toBe(`abc${"d".repeat(500)}é`);
});

test("a body in more pieces than any sender makes of it is too large", async () => {
  expect(await piecewise("/most", Array(20).fill("x"))).toBe("x".repeat(20));
  expect(await piecewise("/more", Array(21).fill("x"))).toBe("The body is larger than 20 pieces");
});

test("where incomplete bodies take too much together the largest gives way, and a small one is read", async () => {
  const small = await begin("/small", 4, "ab");
  await begin("/a", 1_000, "x".repeat(900));
  await begin("/b", 1_000, "x".repeat(800));
  await begin("/c", 1_000, "x".repeat(810));
  await until("one has given way", () => outcomes.size > 0);
  small.write("cd");
  await until("it is read", () => outcomes.has("/small"));

  expect([...outcomes]).toEqual([
    ["/a", "Too many bodies are incomplete"],
    ["/small", "abcd"],
  ]);
});

test("what has been read, or broken off, takes nothing any more", async () => {
  for (let times = 0; times < 5; times++) {
    const broken = await begin(`/broken-${times}`, 1_000, "x".repeat(900));
    broken.end();
    await until("it is over", () => outcomes.has(`/broken-${times}`));
    await begin(`/whole-${times}`, 900, "x".repeat(900));
    await until("it is read", () => outcomes.has(`/whole-${times}`));
  }
  expect(new Set(outcomes.values())).toEqual(new Set(["The request was broken off", "x".repeat(900)]));
});
