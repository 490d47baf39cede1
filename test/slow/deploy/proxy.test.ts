import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { hasProxy, type RunningProxy, startProxy } from "../../deploy/proxy.ts";
import { until } from "../../support/wait.ts";

/*
 * deploy/haproxy.cfg in the real proxy, before receivers that do what the test says.
 */

type Receiver = { port: number; asked: string[]; headers: IncomingMessage["headers"][]; server: Server };

const receivers: Receiver[] = [];
let proxy: RunningProxy | undefined;

afterEach(async () => {
  await proxy?.stop();
  proxy = undefined;
  for (const { server } of receivers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

/** @param answer what happens to a request whose body has been read. */
async function receiver(
  answer: (response: ServerResponse, asking: IncomingMessage) => void,
): Promise<number> {
  const one: Receiver = { port: 0, asked: [], headers: [], server: createServer() };
  one.server.on("request", async (asking: IncomingMessage, response: ServerResponse) => {
    for await (const _ of asking) {
      // Read to its end.
    }
    if (asking.url === "/healthz") {
      response.end("ok");
      return;
    }
    one.asked.push(`${asking.method} ${asking.url}`);
    one.headers.push(asking.headers);
    answer(response, asking);
  });
  await new Promise<void>((resolve) => one.server.listen(0, "127.0.0.1", resolve));
  one.port = (one.server.address() as AddressInfo).port;
  receivers.push(one);
  return one.port;
}

const takes = (response: ServerResponse) => response.end("taken");
const dies = (response: ServerResponse) => response.destroy();
const asked = () => receivers.map((one) => one.asked.length);

async function post(path: string, body = "{}"): Promise<number> {
  return (await fetch(`${proxy?.url}${path}`, { method: "POST", body })).status;
}

/** Head and body apart, so that a proxy could begin to send what has not come as a whole. */
function postInTwoParts(path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sending = request(`${proxy?.url}${path}`, { method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    sending.on("error", reject);
    sending.setHeader("content-length", 2);
    sending.flushHeaders();
    setTimeout(() => sending.end("{}"), 100);
  });
}

/** The first line of the answer to a request that only announces its body. */
async function answerToAnnouncement(bytes: number): Promise<string> {
  const socket = connect(proxy?.port ?? 0, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(`POST /ingest/sns HTTP/1.1\r\nHost: fanmail\r\nContent-Length: ${bytes}\r\n\r\n`);
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  await until("there is an answer", () => answer.includes("\r\n"));
  socket.destroy();
  return answer.split("\r\n")[0] ?? "";
}

describe.skipIf(!hasProxy)("with haproxy", () => {
  test("requests are shared between the receivers, and tell whom they come from", async () => {
    proxy = await startProxy([await receiver(takes), await receiver(takes)]);

    const statuses = await Promise.all(Array.from({ length: 20 }, () => post("/ingest/sns")));

    expect(new Set(statuses)).toEqual(new Set([200]));
    for (const one of receivers) {
      expect(one.asked.length).toBeGreaterThan(0);
      expect(one.headers[0]).toMatchObject({ "x-forwarded-for": "127.0.0.1" });
    }
  });

  test("a receiver gets one request after the other on the same connection", async () => {
    const ports = new Set<number>();
    proxy = await startProxy([
      await receiver((response, asking) => {
        ports.add(asking.socket.remotePort ?? 0);
        takes(response);
      }),
    ]);

    for (let count = 0; count < 10; count++) await post("/ingest/sns");

    expect(ports.size).toBe(1);
  });

  test("a message of SNS is posted again when a receiver fails in the middle of it", async () => {
    proxy = await startProxy([await receiver(dies), await receiver(takes)]);

    const statuses = [];
    for (let count = 0; count < 6; count++) statuses.push(await postInTwoParts("/ingest/sns"));

    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(asked()[0]).toBeGreaterThan(0);
    expect(asked()[1]).toBe(6);
  });

  test("what is changed over the API is never sent twice; what is only read may be", async () => {
    proxy = await startProxy([await receiver(dies), await receiver(dies)]);

    expect(await post("/v1/events")).toBe(502);
    expect(asked()[0]! + asked()[1]!).toBe(1);
    await fetch(`${proxy.url}/v1/events`);
    expect(asked()[0]! + asked()[1]!).toBeGreaterThan(2);
  });

  test("what a receiver could not be told at all goes to another one, a change too", async () => {
    proxy = await startProxy([await receiver(takes), await receiver(takes)]);
    const gone = receivers[0]!;
    gone.server.closeAllConnections();
    await new Promise((resolve) => gone.server.close(resolve));

    const statuses = await Promise.all(Array.from({ length: 10 }, () => post("/v1/events")));

    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  test.each(["/metrics", "/metrics/", "/METRICS", "//metrics", "/%6Detrics", "/metrics?x=1", "/%2fmetrics"])(
    "%s is refused from outside",
    async (path) => {
      proxy = await startProxy([await receiver(takes)]);

      expect((await fetch(proxy.url + path)).status).toBe(403);
      expect(asked()).toEqual([0]);
    },
  );

  test("a body of 1 MB is let through, one of more than 2 MB is refused when it is announced", async () => {
    proxy = await startProxy([await receiver(takes)]);

    expect(await post("/ingest/sns", "x".repeat(1024 * 1024))).toBe(200);
    expect(await answerToAnnouncement(2 * 1024 * 1024 + 1)).toMatch(/^HTTP\/1.1 413 /);
    expect(asked()).toEqual([1]);
  });

  test("a sender that is too slow gets no answer, because SNS would give the message up at a 408", async () => {
    proxy = await startProxy([await receiver(takes)]);
    const socket = connect(proxy.port, "127.0.0.1");
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    socket.write("POST /ingest/sns HTTP/1.1\r\nHost: fanmail\r\n");

    await until("the connection is closed", () => socket.closed);

    expect(answer).toBe("");
  });

  test("without a receiver SNS is told to come again", async () => {
    const port = await receiver(takes);
    const { server } = receivers[0]!;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    proxy = await startProxy([port]);

    expect(await post("/ingest/sns")).toBe(503);
  });
});
