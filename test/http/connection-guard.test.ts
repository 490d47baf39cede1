import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { afterEach, describe, expect } from "vitest";
import { connectionLimit } from "../../src/descriptors.ts";
import { guardConnections } from "../../src/http/connection-guard.ts";
import { counted, readMetrics } from "../observability/read-metrics.ts";
import { projectTest } from "../support/project-test.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";

const test = projectTest({
  roles: { receiver: true, workers: false },
  environment: { METRICS_PORT: "0" },
});

type Client = { socket: Socket; received: () => string; ended: Promise<void> };

async function client(url: string, text = ""): Promise<Client> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
  });
  // A server that makes room resets the connection.
  socket.on("error", () => {});
  const ended = once(socket, "close").then(() => {});
  await once(socket, "connect");
  socket.write(text);
  return { socket, received: () => received, ended };
}

describe("deadlines", () => {
  test("end what never becomes a request, on either port, and let all others pass", async ({ service }) => {
    const ingest = "POST /ingest/sns HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n";
    const beginnings = [
      "",
      "GET /healthz HTTP/1.1\r\nHost: x\r\n",
      "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n".replace("GET", "POST"),
      "POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ];
    const urls = [service.url, service.healthUrl];
    const slow = await Promise.all([
      ...urls.flatMap((url) => beginnings.map((text) => client(url, text))),
      ...Array.from({ length: 150 }, () => client(service.url, ingest)),
    ]);
    const used = await client(service.url, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    await until("it is answered", () => used.received() !== "");

    const genuine = await service.ingest(service.signer.notification(asMessage(sesEvent("Send"))));
    await Promise.all(slow.map(({ ended }) => ended));

    expect(genuine.status).toBe(200);
    const statuses = slow.map(({ received }) => received().split("\r\n")[0]);
    expect(new Set(statuses.slice(urls.length * beginnings.length))).toEqual(
      new Set(["HTTP/1.1 408 Request Timeout"]),
    );
    expect(slow[0]?.received()).toMatch(/\r\nx-content-type-options: nosniff\r\n/i);
    expect(used.socket.destroyed).toBe(false);
    used.socket.destroy();
    const readings = await readMetrics(service.healthUrl);
    expect(counted(readings, "fanmail_notifications_refused_total")).toEqual({
      '{source="http",cause="aborted"}': 150,
    });
    expect(counted(readings, "fanmail_notifications_unavailable_total")).toEqual({});
  }, 60_000);

  test.for([
    ["GET / HTTP/9\r\n\r\n", "HTTP/1.1 400 Bad Request"],
    ["\u0016\u0003\u0001\u0002\u0000\u0001", "HTTP/1.1 400 Bad Request"],
    [`GET / HTTP/1.1\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, "HTTP/1.1 431 Request Header Fields Too Large"],
  ])(
    "what is no request is answered in JSON, with the usual headers, and ends: %j",
    async ([text, status], { service }) => {
      const { received, ended } = await client(service.url, text);
      await ended;
      const [head = "", body = ""] = received().split("\r\n\r\n");
      expect(head.split("\r\n")).toEqual(expect.arrayContaining([status, "cache-control: no-store"]));
      expect(JSON.parse(body)).toEqual({ error: expect.any(String) });
    },
  );
});

describe("the connections of a server", () => {
  let server: Server | undefined;

  afterEach(() => {
    server?.closeAllConnections();
    server?.close();
  });

  async function serve(
    answer: RequestListener,
    rules: { most?: number; stalledMs?: number },
  ): Promise<string> {
    server = createServer(answer);
    guardConnections(server, { most: 100, headers: new Headers(), ...rules });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
  const request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

  test("are bounded: the one that has been without a request for longest gives way", async () => {
    let isReleased = false;
    const url = await serve(
      async (_request, response) => {
        await until("it is released", () => isReleased);
        response.end("answer");
      },
      { most: 4 },
    );
    const working = await client(url, request);
    const posting = await client(url, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhal");
    const silent = [await client(url), await client(url)];

    const late = [await client(url, request), await client(url, request)];
    await Promise.all([posting.ended, silent[0]?.ended]);
    isReleased = true;

    for (const { received } of [working, ...late]) {
      await until("it is answered", () => received().includes("answer"));
    }
    expect(silent[1]?.socket.destroyed).toBe(false);
  });

  test("end where an answer is not taken", async () => {
    const url = await serve((_request, response) => response.end("x".repeat(50_000_000)), { stalledMs: 300 });
    const { socket } = await client(url, request);
    socket.pause();

    await until("the server ends it", async () => (await connectionsOf(server)) === 0);
    socket.destroy();
  });

  test("stay where an answer is long in the making, or taken slowly", async () => {
    const url = await serve(
      async (_request, response) => {
        for (let piece = 0; piece < 10; piece++) {
          await new Promise((resolve) => setTimeout(resolve, 150));
          response.write(`${piece} `);
        }
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        response.end("end");
      },
      { stalledMs: 300 },
    );
    expect(await (await fetch(url)).text()).toBe("0 1 2 3 4 5 6 7 8 9 end");
  });

  test("leave file descriptors for what else needs them", () => {
    expect(connectionLimit()).toBeGreaterThan(100);
    expect(connectionLimit()).toBeLessThanOrEqual(4_096);
  });
});

function connectionsOf(server: Server | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server?.getConnections((error, count) => (error ? reject(error) : resolve(count)));
  });
}
