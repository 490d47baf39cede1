import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type ServiceName, serviceOf } from "../../deploy/compose-file.ts";
import { hasProxy } from "../../deploy/proxy.ts";
import { freePort, hasProgram } from "../../deploy/running-process.ts";
import { healthOf, type Part, type Stack, startStack } from "../../deploy/stack.ts";
import { hasRedis } from "../../support/redis-server.ts";
import { asMessage, sesEvent } from "../../support/ses.ts";
import { type SnsSigner, snsSigner, testTopic } from "../../support/sns-signer.ts";
import { until } from "../../support/wait.ts";

/*
 * The stack of docker-compose.yml, without an engine. The tests build on one another: one stack is started, used,
 * hurt and stopped.
 */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const testApiKey = `sk_proj_${"t".repeat(43)}`;

let directory: string;
let signer: SnsSigner;
let stack: Stack;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "fanmail-certificates-"));
  signer = await snsSigner(directory);
  const settings = {
    POSTGRES_PASSWORD: randomBytes(24).toString("hex"),
    ENCRYPTION_KEY: randomBytes(32).toString("base64"),
    SNS_TOPIC_ARNS: testTopic,
    BOOTSTRAP_API_KEY: testApiKey,
    LOG_LEVEL: "warn",
  };
  stack = await startStack(settings, {
    SNS_LOCAL_CERTS: signer.localCertificate,
    SNS_ALLOW_LOCAL_CERTS: "1",
  });
});
afterAll(async () => {
  await stack?.stop();
  await rm(directory, { recursive: true, force: true });
});

/** How many posts have been answered 200. */
let answered = 0;

/** Posts sends of as many emails. @returns the statuses of the answers. */
async function postSends(name: string, count: number): Promise<Set<number>> {
  const answers = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const message = asMessage(sesEvent("Send", { messageId: `${name}-${index}` }));
      const body = JSON.stringify(signer.notification(message));
      const { status } = await fetch(`${stack.url}/ingest/sns`, { method: "POST", body });
      if (status === 200) answered++;
      return status;
    }),
  );
  return new Set(answers);
}

async function toldByApi(): Promise<number> {
  const headers = { authorization: `Bearer ${testApiKey}` };
  const answer = await fetch(`${stack.url}/v1/activity?per_page=100`, { headers });
  expect(answer.status).toBe(200);
  const { data } = (await answer.json()) as { data: unknown[] };
  return data.length;
}

test("as many receivers and workers run as the file says", () => {
  expect([stack.receivers.length, stack.workers.length]).toEqual([2, 2]);
});

test("PostgreSQL runs with the settings of the file", async () => {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  const { rows } = await client.query(
    "select current_setting('max_connections') as connections, current_setting('shared_buffers') as buffers",
  );
  await client.end();

  expect(rows).toEqual([{ connections: "200", buffers: "512MB" }]);
});

test("what SNS posts is told by the API", async () => {
  expect(await postSends("first", 20)).toEqual(new Set([200]));

  await until("all are applied", async () => (await toldByApi()) === 20);
});

test("the image's health check finds receivers and workers healthy", async () => {
  for (const { environment } of [...stack.receivers, ...stack.workers]) {
    expect(await healthOf(stack.image.healthcheck, environment)).toBe(0);
  }
});

test("the image's health check finds out when nothing answers", async () => {
  const ports = { PORT: String(await freePort()), METRICS_PORT: String(await freePort()) };

  expect(await healthOf(stack.image.healthcheck, ports, 1)).toBe(1);
});

test("workers and receivers give metrics to those who are inside", async () => {
  for (const part of [stack.receivers[0]!, stack.workers[0]!]) {
    expect(await metricsOf(part)).toContain("fanmail_");
  }
  expect((await fetch(`${stack.receivers[0]!.url}/metrics`)).status).toBe(404);
});

test.skipIf(!hasRedis)("Redis passes its health check, wakes workers and forgets nothing", async () => {
  const [command = "", ...args] = healthCheckOf("redis");
  const port = stack.redis?.address.split(":")[1] ?? "";
  const client = new Redis(Number(port), "127.0.0.1");

  expect(await healthOf([command, "-p", port, ...args], {})).toBe(0);
  expect(await client.config("GET", "maxmemory-policy")).toEqual(["maxmemory-policy", "noeviction"]);
  expect(await client.config("GET", "appendonly")).toEqual(["appendonly", "yes"]);
  expect((await client.keys("{fanmail}:*")).length).toBeGreaterThan(0);
  client.disconnect();
});

/** The command that a service of the file has of its own. */
function healthCheckOf(name: ServiceName): string[] {
  const { healthcheck } = serviceOf(stack.compose, name);
  const [kind, ...command] = healthcheck && "test" in healthcheck ? healthcheck.test : [];
  expect(kind).toBe("CMD");
  return command;
}

describe.skipIf(!hasProxy)("behind the proxy", () => {
  test.skipIf(!hasProgram("wget"))("it passes its health check", async () => {
    const command = healthCheckOf("proxy");
    const words = command.map((word) => word.replace("http://127.0.0.1:8080", stack.url));

    expect(words).not.toEqual(command);
    expect(await healthOf(words, {})).toBe(0);
  });

  test("metrics are not given to those who are outside", async () => {
    expect((await fetch(`${stack.url}/metrics`)).status).toBe(403);
    expect((await fetch(`${stack.url}/readyz`)).status).toBe(200);
  });

  test("while a receiver is killed no post fails and no question of the API, and another takes its place", async () => {
    const first = stack.receivers[0]!;
    const statuses = await postDuring("killed", () => first.process.stop("SIGKILL"));
    expect(statuses).toEqual(new Set([200]));

    stack.receivers[0] = await stack.startAgain(first);

    await until("the proxy has found it", async () => {
      await postSends(`again-${answered}`, 4);
      return (await storedBy(stack.receivers[0]!)) > 0;
    });
  });

  test("while a receiver stops in good order no post fails and no question of the API", async () => {
    const [, second] = stack.receivers;
    const statuses = await postDuring("stopped", () => second!.process.stop("SIGTERM"));

    expect(statuses).toEqual(new Set([200]));
    expect((await second!.process.ended).code).toBe(0);
  });
});

test("what was answered 200 is in the journal", async () => {
  const client = new pg.Client({ connectionString: stack.databaseUrl });
  await client.connect();
  const { rows } = await client.query("select count(*)::integer as stored from notifications");
  await client.end();

  expect(rows).toEqual([{ stored: answered }]);
});

test("everything that runs ends in good order when it is asked to", async () => {
  const codes = await stack.stop();

  expect(codes.length).toBeGreaterThanOrEqual(6);
  expect(new Set(codes)).toEqual(new Set([0]));
});

async function metricsOf({ environment }: Part): Promise<string> {
  return (await fetch(`http://127.0.0.1:${environment["METRICS_PORT"]}/metrics`)).text();
}

/** How many notifications a receiver has stored since it started. */
async function storedBy(receiver: Part): Promise<number> {
  const metrics = await metricsOf(receiver);
  return Number(/^fanmail_notifications_received_total\{source="http"\} (\d+)$/m.exec(metrics)?.[1] ?? 0);
}

/** Goes on posting while something happens, and somewhat longer. */
async function postDuring(name: string, happening: () => Promise<unknown>): Promise<Set<number>> {
  let isOver = false;
  const statuses = new Set<number>();
  const posting = (async () => {
    for (let round = 0; !isOver || round < 10; round++) {
      for (const status of await postSends(`${name}-${round}`, 10)) statuses.add(status);
      await toldByApi();
    }
  })();
  const over = happening().finally(() => {
    isOver = true;
  });
  await Promise.all([posting, over]);
  return statuses;
}
