import { EventEmitter, once } from "node:events";
import { afterAll, describe, expect, test } from "vitest";
import { createAddressGuard } from "../../src/webhooks/address-guard.ts";
import { webhookConnections } from "../../src/webhooks/connections.ts";
import { type Post, postWebhook } from "../../src/webhooks/post.ts";
import { createSocketRoom } from "../../src/webhooks/socket-room.ts";
import { rawSink } from "../support/webhook-sink.ts";

const connections = webhookConnections(
  createAddressGuard({ allowedCidrs: ["127.0.0.0/8"] }),
  createSocketRoom(100),
);
afterAll(() => connections.destroy());

const post: Omit<Post, "url"> = {
  eventId: "018f0000-0000-7000-8000-000000000000",
  body: '{"data":{}}',
  attempt: 1,
  secrets: ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLw=="],
  headers: {},
  legacySignature: false,
};
const options = {
  connections,
  now: () => new Date(),
  userAgent: "Fanmail/test",
  stopping: new AbortController().signal,
};

/** Posts to a receiver that answers with these bytes, and closes after them or not. */
async function answered(bytes: string | Buffer, keepsOpen = false) {
  const sink = await rawSink((socket) => (keepsOpen ? socket.write(bytes) : socket.end(bytes)));
  const result = await postWebhook({ ...post, url: sink.url }, options);
  await sink.close();
  if (result.kind !== "made") return result;
  const { failure, status, excerpt } = result;
  return { failure, status, excerpt };
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const crlf = (...lines: string[]) => `${lines.join("\r\n")}\r\n\r\n`;

describe("an answer that is no HTTP is a failed connection", () => {
  test.each([
    ["a space in a header name", crlf("HTTP/1.1 200 OK", "X Note: stored", "Content-Length: 0")],
    ["a header without a colon", crlf("HTTP/1.1 200 OK", "stored", "Content-Length: 0")],
    ["NUL in a header", crlf("HTTP/1.1 200 OK", "X-Note: a\0b", "Content-Length: 0")],
    ["a header that is longer than 16 KiB", crlf("HTTP/1.1 200 OK", `X-Note: ${"a".repeat(20_000)}`)],
    ["lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
    ["a bare CR", "HTTP/1.1 200 OK\rContent-Length: 0\r\r"],
    ["two different lengths", `${crlf("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 3")}ok`],
    ["a length that is no number", `${crlf("HTTP/1.1 200 OK", "Content-Length: two")}ok`],
    ["a negative length", `${crlf("HTTP/1.1 200 OK", "Content-Length: -2")}ok`],
    ["a bad chunk size", `${crlf("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}zz\r\nok\r\n0\r\n\r\n`],
    [
      "a chunk that is longer than it says",
      `${crlf("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}1\r\nok\r\n0\r\n\r\n`,
    ],
    ["a status that is no number", crlf("HTTP/1.1 OK", "Content-Length: 0")],
    ["the greeting of a mail server", "220 mail.example.com ESMTP\r\n"],
    ["the greeting of SSH", "SSH-2.0-OpenSSH_9.2p1\r\n"],
    ["an alert of TLS", Buffer.from("15030300020228", "hex")],
    ["HTTP/0.9", "<html>stored</html>"],
    ["HTTP/2", Buffer.from("00001204000000000000030000008000040001000000050000400000", "hex")],
    ["an answer of Redis", "-ERR unknown command 'POST'\r\n"],
    ["nothing", ""],
    ["half a head", "HTTP/1.1 200 OK\r\nContent-Le"],
    ["half a body", "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nok"],
    [
      "another protocol",
      crlf("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"),
    ],
    ["another protocol without its name", crlf("HTTP/1.1 101 Switching Protocols")],
    ["no end of informational answers", crlf("HTTP/1.1 102 Processing").repeat(1_000)],
    ["nothing after an informational answer", crlf("HTTP/1.1 100 Continue")],
  ])("%s", async (_what, bytes) => {
    expect(await answered(bytes)).toMatchObject({ failure: "connection" });
  });

  test.each([
    ["the greeting of a mail server", "220 mail.example.com ESMTP\r\n"],
    ["lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"],
    ["a space in a header name", crlf("HTTP/1.1 200 OK", "X Note: stored")],
    [
      "another protocol",
      crlf("HTTP/1.1 101 Switching Protocols", "Connection: upgrade", "Upgrade: websocket"),
    ],
  ])("%s, also on a connection that stays open", async (_what, bytes) => {
    expect(await answered(bytes, true)).toMatchObject({ failure: "connection" });
  });
});

test("what is wrong with an answer is told", async () => {
  const sink = await rawSink((socket) =>
    socket.end(`${crlf("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}zz\r\n`),
  );

  expect(await postWebhook({ ...post, url: sink.url }, options)).toMatchObject({
    status: 200,
    failure: "connection",
    message: expect.stringMatching(/^Parse Error: .*chunk/i),
  });
  await sink.close();
});

describe("an answer is taken as what it is", () => {
  test.each([
    ["100 before it", crlf("HTTP/1.1 100 Continue") + ok],
    ["102 before it", crlf("HTTP/1.1 102 Processing") + ok],
    ["103 before it", crlf("HTTP/1.1 103 Early Hints", "Link: </a.css>; rel=preload") + ok],
    ["one that nobody knows before it", crlf("HTTP/1.1 199 Unknown") + ok],
    ["many before it", crlf("HTTP/1.1 100 Continue").repeat(3) + crlf("HTTP/1.1 103 Early Hints") + ok],
    [
      "the same length twice",
      `${crlf("HTTP/1.1 200 OK", "Content-Length: 2", "X-A: b", "content-length:2 ")}ok`,
    ],
    ["a list of the same length", `${crlf("HTTP/1.1 200 OK", "Content-Length: 2, 2")}ok`],
    [
      "the same length twice after 100",
      `${crlf("HTTP/1.1 100 Continue")}${crlf("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 2")}ok`,
    ],
    ["no length", "HTTP/1.1 200 OK\r\n\r\nok"],
    ["HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nok"],
    ["no reason", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"],
    [
      "chunks",
      `${crlf("HTTP/1.1 200 OK", "Transfer-Encoding: chunked")}2;note=a\r\nok\r\n0\r\nX-Trailer: a\r\n\r\n`,
    ],
    ["205 with a body", ok.replace("200 OK", "205 Reset Content")],
    ["more than its length", `${ok}and more`],
  ])("%s", async (_what, bytes) => {
    expect(await answered(bytes)).toMatchObject({ failure: null, excerpt: "ok" });
    expect(
      await answered(Buffer.from(bytes), bytes.includes("ength") || bytes.includes("chunked")),
    ).toMatchObject({ failure: null });
  });

  test.each([
    ["204 with a body", ok.replace("200 OK", "204 No Content"), { failure: null, status: 204, excerpt: "" }],
    ["304 with a body", ok.replace("200 OK", "304 Not Modified"), { failure: "http_3xx", status: 304 }],
    [
      "a truncated gzip",
      `${crlf("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Content-Length: 2")}\x1f\x0b`,
      { failure: null },
    ],
    [
      "500 after 103",
      crlf("HTTP/1.1 103 Early Hints") + ok.replace("200 OK", "500 No"),
      { failure: "http_5xx", status: 500 },
    ],
  ])("%s", async (_what, bytes, expected) => {
    expect(await answered(bytes)).toMatchObject(expected);
    expect(await answered(bytes, true)).toMatchObject(expected);
  });

  test("whatever its bytes come in", async () => {
    const bytes =
      crlf("HTTP/1.1 103 Early Hints") +
      crlf("HTTP/1.1 200 OK", "Content-Length: 2", "Content-Length: 2") +
      "ok";
    const sink = await rawSink(async (socket) => {
      for (const byte of Buffer.from(bytes)) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
    });

    expect(await postWebhook({ ...post, url: sink.url }, options)).toMatchObject({
      failure: null,
      excerpt: "ok",
    });
    await sink.close();
  });
});

test("a post that is under way when the process stops is broken off at once, and counts for nothing", async () => {
  const under = new EventEmitter();
  const isAsked = once(under, "asked");
  const isClosed = once(under, "closed");
  const sink = await rawSink((socket) => {
    socket.on("close", () => under.emit("closed"));
    under.emit("asked");
  });
  const stop = new AbortController();
  const posting = postWebhook({ ...post, url: sink.url }, { ...options, stopping: stop.signal });
  await isAsked;
  stop.abort();

  expect(await posting).toEqual({ kind: "released" });
  await isClosed;
  expect(await postWebhook({ ...post, url: sink.url }, { ...options, stopping: stop.signal })).toEqual({
    kind: "released",
  });
  await sink.close();
});
