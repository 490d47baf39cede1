import { once } from "node:events";
import { type AddressInfo, connect } from "node:net";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { createHealthApp } from "../../src/http/health-server.ts";
import { testDatabase } from "../support/database.ts";
import { projectTest } from "../support/project-test.ts";
import { startTestService, type TestService, testApiKey } from "../support/service.ts";
import { until } from "../support/wait.ts";
import { ask } from "./api.ts";

const roles = { receiver: true, workers: false };
const test = projectTest({ roles });

describe("X-Request-Id", () => {
  async function requestId(
    { url }: TestService,
    given: string | null,
    path = "/v1/activity",
    key = testApiKey,
  ) {
    const headers = { authorization: key, ...(given === null ? {} : { "x-request-id": given }) };
    return (await fetch(url + path, { headers })).headers.get("x-request-id");
  }
  const made = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

  test.for(["abc", "A-1_b.c:d", "x".repeat(128)])("%s is echoed", async (given, { service }) => {
    expect(await requestId(service, given)).toBe(given);
  });

  test.for([[null], ["x".repeat(129)], ["two words"], ["<script>"], ['a"b'], ["é"]] as const)(
    "for %s another one is made",
    async ([given], { service }) => {
      expect(await requestId(service, given)).toMatch(made);
    },
  );

  test("each request gets its own", async ({ service }) => {
    expect(await requestId(service, null)).not.toBe(await requestId(service, null));
  });

  test("is on errors too", async ({ service }) => {
    const paths = ["/nowhere", "/v1/activity?page=0", "/v1/activity/1", "/v1/activity/%E0%A4%A", "/healthz"];
    for (const path of paths) expect(await requestId(service, "mine", path), path).toBe("mine");
    expect(await requestId(service, "mine", "/v1/activity", "wrong")).toBe("mine");
  });
});

test.for(["/v1/activity", "/metrics", "/openapi.json", "/ingest/sns"])(
  "a page of another origin may read no answer of %s, nor ask with a key",
  async (path, { service }) => {
    const origin = "https://page.example";
    const preflight = {
      origin,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization",
    };
    for (const [method, headers] of [
      ["GET", { origin }],
      ["OPTIONS", preflight],
    ] as const) {
      const answer = await fetch(service.url + path, { method, headers });
      expect([...answer.headers.keys()].filter((name) => /^access-control|^set-cookie$/.test(name))).toEqual(
        [],
      );
    }
  },
);

describe("the usual headers", () => {
  const ingest = { method: "POST", body: "{}" };
  const answers: [path: string, status: number, init?: RequestInit][] = [
    ["/", 200],
    ["/docs", 200],
    ["/docs/start.js", 200],
    ["/openapi.json", 200],
    ["/healthz", 200],
    ["/metrics", 200],
    ["/v1/activity", 200],
    ["/v1/activity.csv", 200],
    ["/v1/activity?page=0", 400],
    ["/v1/activity", 401, { headers: {} }],
    ["/nowhere", 404],
    ["/v1/activity/%E0%A4%A", 400],
    ["/v1/events", 415, { method: "POST", headers: { authorization: testApiKey }, body: "x" }],
    ["/ingest/sns", 400, ingest],
    ["/ingest/sns/raw/x", 403, ingest],
  ];

  test.for(answers)("are on %s (%i)", async ([path, status, init], { service }) => {
    const answer = await fetch(service.url + path, { headers: { authorization: testApiKey }, ...init });

    expect(answer.status).toBe(status);
    const { headers } = answer;
    const policy = headers.get("content-security-policy");
    expect(Object.fromEntries(headers)).toMatchObject({
      "cache-control": "no-store",
      "referrer-policy": "no-referrer",
      "x-content-type-options": "nosniff",
      "x-frame-options": "DENY",
    });
    expect(policy).toMatch(path === "/docs" ? /^default-src 'self';/ : /^default-src 'none';/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(headers.has("x-powered-by")).toBe(false);
  });

  test("let the documentation's own files be cached", async ({ service }) => {
    const { headers } = await fetch(`${service.url}/docs/swagger-ui.css`);
    expect(headers.get("cache-control")).toBe("public, max-age=86400");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });
});

describe("/", () => {
  const answerTo = async ({ url }: TestService, accept: string) => {
    const answer = await fetch(`${url}/`, { headers: { accept } });
    return [answer.status, answer.headers.get("content-type"), await answer.text()];
  };

  test("shows a browser what answers here, and leads to the documentation", async ({ service }) => {
    expect(
      await answerTo(service, "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ).toEqual([
      200,
      "text/html; charset=utf-8",
      expect.stringMatching(/<h1>Fanmail [\d.]+<\/h1>.*<a href="docs">/s),
    ]);
  });

  test.for(["*/*", "application/json"])(
    "shows a program (%s) the same in JSON",
    async (accept, { service }) => {
      const [status, type, text] = await answerTo(service, accept);
      expect([status, type]).toEqual([200, "application/json; charset=utf-8"]);
      expect(JSON.parse(String(text))).toMatchObject({
        name: "Fanmail",
        docs: "/docs",
        openapi: "/openapi.json",
      });
    },
  );
});

describe("an unknown route is answered 404 in JSON", () => {
  const unknown = { error: "There is no such route" };

  test.for(["/v1", "/v2/activity", "/v1/activity/a/b", "/v1/activit", "/%00", "/favicon.ico"])(
    "%s",
    async (path, { service }) => {
      expect(await ask(service, path)).toEqual([404, unknown]);
    },
  );

  test.for(["POST", "PUT", "PATCH", "DELETE"])(
    "%s of a route that is only read",
    async (method, { service }) => {
      const headers = { authorization: testApiKey };
      const answer = await fetch(`${service.url}/v1/activity`, { method, headers });
      expect([answer.status, await answer.json()]).toEqual([404, unknown]);
    },
  );
});

test.for(["/v1/activity/%E0%A4%A", "/v1/activity/%", "/v1/activity/%ff"])(
  "%s, a path that is not URL-encoded, is answered 400 in JSON",
  async (path, { service }) => {
    expect(await ask(service, path)).toEqual([400, { error: "The request cannot be read" }]);
  },
);

test("a request that is not HTTP is answered 400, and the service continues", async ({ service }) => {
  const { hostname, port } = new URL(service.url);
  const answer = await new Promise<string>((resolve) => {
    let text = "";
    const socket = connect(Number(port), hostname, () => socket.write("NONSENSE\r\n\r\n"));
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.on("close", () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1.1 400 /);
  expect(await ask(service, "/healthz")).toEqual([200, { status: "ok" }]);
});

test("an answer does not say what software made it", async ({ service }) => {
  const { headers } = await service.get("/v1/activity");
  expect([headers.get("x-powered-by"), headers.get("server"), headers.get("etag")]).toEqual([
    null,
    null,
    null,
  ]);
});

describe("health", () => {
  test("/healthz and /readyz need no key", async ({ service }) => {
    const answers = await Promise.all(["/healthz", "/readyz"].map((path) => service.get(path, null)));
    expect(await Promise.all(answers.map(async (answer) => [answer.status, await answer.json()]))).toEqual([
      [200, { status: "ok" }],
      [200, { status: "ready" }],
    ]);
  });
});

test("an internal error is answered 500 with the request's id and without the cause", async () => {
  const broken = await testDatabase();
  const service = await startTestService({ databaseUrl: broken.url, roles });
  await broken.db.query("alter table activity rename to elsewhere");
  const headers = { authorization: testApiKey, "x-request-id": "mine" };
  const answer = await fetch(`${service.url}/v1/activity?email=jane@example.com`, { headers });
  const answered = [answer.status, await answer.json()];
  await service.close();
  await broken.drop();

  expect(answered).toEqual([500, { error: "Internal error", request_id: "mine" }]);
});

describe("while the database is away", () => {
  let away: TestService;

  beforeAll(async () => {
    const dropped = await testDatabase();
    away = await startTestService({ databaseUrl: dropped.url, roles });
    expect(await ask(away, "/readyz")).toEqual([200, { status: "ready" }]);
    await dropped.drop();
  });
  afterAll(() => away?.close());

  test("/readyz is answered 503, and /healthz 200, because the process lives", async () => {
    expect(await ask(away, "/readyz")).toEqual([503, { status: "the database cannot be reached" }]);
    expect(await ask(away, "/healthz")).toEqual([200, { status: "ok" }]);
  });

  test("a request is answered 503 with its id and without the cause", async () => {
    const headers = { authorization: testApiKey, "x-request-id": "mine" };
    const answer = await fetch(`${away.url}/v1/activity`, { headers });
    expect([answer.status, await answer.json()]).toEqual([
      503,
      { error: "The database cannot be used now", request_id: "mine" },
    ]);
  });
});

test("readiness checks at the same time share one query", async ({ service }) => {
  const { db, log, metrics } = service.context;
  let queries = 0;
  let asked = 0;
  const counting: typeof db = {
    ...db,
    async query(sql, params) {
      queries++;
      await until("all ask", () => asked === 100);
      return db.query(sql, params);
    },
  };
  const server = createHealthApp({ db: counting, log, metrics }).listen(0, "127.0.0.1");
  server.on("request", () => asked++);
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/readyz`;

  const statuses = await Promise.all(Array.from({ length: 100 }, async () => (await fetch(url)).status));
  server.close();

  expect([new Set(statuses), queries]).toEqual([new Set([200]), 1]);
});
