import { createServer } from "node:net";
import { expect, vi } from "vitest";
import { counted, readMetrics } from "../observability/read-metrics.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { test } from "./process-test.ts";

/*
 * `--processes`: several processes behind one port. The primary owns the embedded PostgreSQL.
 */

/** Each process starts as a service does. */
vi.setConfig({ testTimeout: 60_000 });

const token = "raw-token-of-this-test-0123456789";

/** Posts notifications, each on a connection of its own, so that every process gets some. */
async function post(url: string, count: number): Promise<number[]> {
  const body = () => asMessage(sesEvent("Send", { messageId: `m-${crypto.randomUUID()}` }));
  const answers = Array.from({ length: count }, () =>
    fetch(`${url}/ingest/sns/raw/${token}`, {
      method: "POST",
      body: body(),
      headers: { connection: "close" },
    }),
  );
  return (await Promise.all(answers)).map(({ status }) => status);
}

test("they share port, database and metrics, one that ends is replaced, and SIGTERM ends all", async ({
  start,
}) => {
  const service = start(["start", "--processes", "2"], { SNS_RAW_TOKEN: token });
  const [, url = ""] = await service.line(/listens on (\S+) \(2 processes\)/);
  expect(new Set(await post(url, 20))).toEqual(new Set([200]));
  const received = counted(await readMetrics(url), "fanmail_notifications_received_total");
  expect(received).toEqual({ '{source="http"}': 20 });

  const logged = (pattern: RegExp) => until(`it logs ${pattern}`, async () => pattern.test(service.stderr()));
  await logged(/"msg":"processes started"/);
  const [, pid] = /"pids":\[(\d+),\d+\]/.exec(service.stderr()) ?? [];
  process.kill(Number(pid), "SIGKILL");
  await logged(/"signal":"SIGKILL","msg":"process ended, and is replaced"/);
  expect(new Set(await post(url, 10))).toEqual(new Set([200]));
  await logged(/(?:[\s\S]*"msg":"database opened"){3}/);

  service.child.kill("SIGTERM");
  expect(await service.ended).toMatchObject({ code: 0 });
});

test("if they cannot start, the reason is said once for each, and the command fails", async ({ start }) => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  const address = other.address();
  const port = typeof address === "object" ? String(address?.port) : "";
  const { code, stderr } = await start(["receiver", "--processes", "2"], { PORT: port }).ended;
  other.close();
  expect(code).toBe(1);
  expect(stderr.match(/fanmail receiver: Cannot listen on 127\.0\.0\.1:\d+/g)).toHaveLength(2);
});

test.for(["0", "1.5", "two", "1000"])("--processes %s is refused", async (count, { start }) => {
  const { code, stderr } = await start(["worker", "--processes", count]).ended;
  expect(code).toBe(1);
  expect(stderr).toContain(`--processes must be a whole number from 1 to 128, not "${count}"`);
});
