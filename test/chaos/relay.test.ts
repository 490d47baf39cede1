import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRelay, type Relay } from "../../chaos/stage/relay.ts";

/*
 * A proof under faults is worth as much as the faults are real.
 */

let echo: Server;
let relay: Relay;
const sockets: Socket[] = [];

beforeEach(async () => {
  echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
  echo.listen(0, "127.0.0.1");
  await once(echo, "listening");
  relay = await openRelay((echo.address() as AddressInfo).port);
});
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await relay.close();
  echo.close();
});

async function client(): Promise<Socket> {
  const socket = connect(relay.port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function echoed(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, "data");
  return String(data);
}

test("bytes pass, and so does the end", async () => {
  const socket = await client();

  expect(await echoed(socket, "one")).toBe("one");
  socket.end();
  await once(socket, "close");
});

test("a connection that is cut is reset, and the next one works", async () => {
  const socket = await client();
  await echoed(socket, "one");

  const failed = once(socket, "error");
  relay.cut();

  expect((await failed)[0]).toMatchObject({ code: "ECONNRESET" });
  expect(await echoed(await client(), "two")).toBe("two");
});

test("silence holds everything back, also on new connections; it arrives when all is well again", async () => {
  const known = await client();
  await echoed(known, "one");
  relay.silence("both ways");
  const fresh = await client();
  const answers = Promise.all([echoed(known, "two"), echoed(fresh, "three")]);

  const isEarly = await Promise.race([answers.then(() => true), passed(100).then(() => false)]);
  relay.heal();

  expect(isEarly).toBe(false);
  expect(await answers).toEqual(["two", "three"]);
});

test("with answers silenced, what is sent still arrives at the other end", async () => {
  const arrived = once(echo, "connection").then(([socket]) => once(socket as Socket, "data"));
  const socket = await client();
  relay.silence("answers");
  socket.write("one");

  expect(String((await arrived)[0])).toBe("one");
  relay.heal();
});

test("delayed bytes keep their order, also when the delay ends", async () => {
  const socket = await client();
  let received = "";
  socket.on("data", (data) => {
    received += data;
  });
  relay.delay(60);
  socket.write("a");
  await passed(10);
  relay.delay(0);
  socket.write("b");
  await passed(10);
  socket.write("c");

  while (received.length < 3) await once(socket, "data");
  expect(received).toBe("abc");
});

test("a far end that is lost ends without a word to the near end", async () => {
  const ended = once(echo, "connection").then(([socket]) => once(socket as Socket, "close"));
  const socket = await client();
  await echoed(socket, "one");

  relay.loseFarEnds();
  await ended;
  socket.write("two");
  await passed(50);

  expect([socket.destroyed, socket.readable, socket.writable]).toEqual([false, true, true]);
  expect(await echoed(await client(), "three")).toBe("three");
});

test("a relay that leads nowhere refuses", async () => {
  relay.leadTo(null);
  const socket = connect(relay.port, "127.0.0.1");

  await expect(once(socket, "connect").then(() => once(socket, "close"))).rejects.toMatchObject({
    code: "ECONNRESET",
  });
});

function passed(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
