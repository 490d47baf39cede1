import { gzipSync } from "node:zlib";
import { expect } from "vitest";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { rawSink, webhookSink } from "../support/webhook-sink.ts";
import { test } from "./lane.ts";

test("a redirect is not followed, and is a failure", async ({ lane, project, sink }) => {
  const elsewhere = await webhookSink(() => ({ status: 200 }));
  sink.answer = () => ({ status: 302, headers: { location: elsewhere.url } });
  await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");
  await elsewhere.close();

  expect(elsewhere.received).toEqual([]);
  expect(await lane.attempts()).toMatchObject([{ status: 302, failure: "http_3xx" }]);
});

test("Retry-After is waited for", async ({ lane, project, sink }) => {
  sink.answer = () => ({ status: 429, headers: { "retry-after": "3600" } });
  await project.addEndpoint(sink.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");

  const [row] = await project.select<{ seconds: number }>(
    "select extract(epoch from due_at - now())::float as seconds from deliveries",
  );
  expect(row?.seconds).toBeGreaterThan(3_500);
});

test("nobody listening is a failed connection, told in the attempt", async ({ lane, project }) => {
  await project.addEndpoint("http://127.0.0.1:9/");
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");

  expect(await lane.attempts()).toMatchObject([{ number: 1, status: null, failure: "connection" }]);
});

test("an answer without an end is read to 16 KiB, and its 200 is a success", async ({ lane, project }) => {
  const endless = await rawSink((socket) => {
    const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
    const pour = () => {
      while (socket.writable && socket.write(chunk));
    };
    socket.on("drain", pour);
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    pour();
  });
  await project.addEndpoint(endless.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("succeeded");
  await endless.close();

  const [row] = await project.select<{ length: number }>("select length(excerpt) from attempts");
  expect(row?.length).toBe(16 * 1024);
});

test("an answer that trickles is broken off after 15 seconds, with what came of it", async ({
  lane,
  project,
}) => {
  const trickling = await rawSink((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const drip = setInterval(() => socket.write("1\r\nx\r\n"), 500);
    socket.on("close", () => clearInterval(drip));
  });
  const silent = await rawSink(() => {});
  await project.addEndpoint(trickling.url);
  await project.addEndpoint(silent.url);
  await project.apply(sesEvent("Send"));
  await until("both are tried", async () => (await lane.attempts()).length === 2);
  await Promise.all([trickling.close(), silent.close()]);

  const message = "No whole answer in 15000 ms";
  expect((await lane.attempts()).toSorted((one) => (one["status"] === null ? 1 : -1))).toEqual([
    { number: 1, status: 200, failure: "timeout", message, excerpt: expect.stringMatching(/^x{20,}$/) },
    { number: 1, status: null, failure: "timeout", message, excerpt: null },
  ]);
  expect((await lane.deliveries()).map(({ state }) => state)).toEqual(["retrying", "retrying"]);
}, 60_000);

test.for<[string, string]>([
  ["at once", ""],
  ["in the middle of its head", "HTTP/1.1 200 OK\r\nx-a"],
  ["in the middle of its body", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart"],
])("a socket that is closed %s is a failed connection", async ([_when, sent], { lane, project }) => {
  const closing = await rawSink((socket) => socket.end(sent));
  await project.addEndpoint(closing.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");
  await closing.close();

  const isAnswered = sent.endsWith("part");
  expect(await lane.attempts()).toMatchObject([
    {
      failure: "connection",
      status: isAnswered ? 200 : null,
      excerpt: isAnswered ? "part" : null,
      message: expect.any(String),
    },
  ]);
});

test.for<[string, string, RegExp]>([
  ["https://no-such-host.invalid/hook", "dns", /no-such-host\.invalid/],
  ["https://10.0.0.1/hook", "blocked", /10\.0\.0\.1/],
  ["http://192.0.2.1/hook", "blocked", /192\.0\.2\.1/],
])("%s is a failure of class %s, told in the attempt", async ([url, failure, message], { lane, project }) => {
  await project.addEndpoint(url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("retrying");

  expect(await lane.attempts()).toMatchObject([
    { failure, status: null, message: expect.stringMatching(message), excerpt: null },
  ]);
});

test("a compressed answer is kept as it came: nothing is unpacked", async ({ lane, project }) => {
  const packed = gzipSync("x".repeat(1_000_000));
  const zipping = await rawSink((socket) => {
    const head = `HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${packed.length}\r\n\r\n`;
    socket.end(Buffer.concat([Buffer.from(head), packed]));
  });
  await project.addEndpoint(zipping.url);
  await project.apply(sesEvent("Send"));
  await lane.stateIs("succeeded");
  await zipping.close();

  const [row] = await project.select<{ length: number }>("select length(excerpt) from attempts");
  expect(row?.length).toBeLessThanOrEqual(packed.length);
});
