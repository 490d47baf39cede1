import { connect } from "node:net";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Intake } from "../../src/receive/intake.ts";
import { defaultProjectId } from "../../src/storage/projects.ts";
import { feed } from "../http/api.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";
import { counted, type Readings, readMetrics } from "./read-metrics.ts";

const rawToken = "r".repeat(32);

describe("what a process counts", () => {
  let database: TestDatabase;
  let service: TestService;
  let before: Readings;
  let after: Readings;

  beforeAll(async () => {
    database = await testDatabase();
    service = await startTestService({
      databaseUrl: database.url,
      environment: { SNS_RAW_TOKEN: rawToken },
    });
    before = await readMetrics(service.url);
    // One after the other: what is decided about an event depends on those that are applied before it.
    for (const payload of [
      sesEvent("Send", { mail: { tags: { user_id: [17], stage: ["prod", null] } } }),
      sesEvent("Open", { after: 10, detail: { userAgent: "Mozilla/5.0 (X11; Linux) Firefox/140" } }),
      // Within the window of the first, and by a program.
      sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0 (X11; Linux) Firefox/140" } }),
      sesEvent("Click", {
        after: 70,
        detail: { userAgent: "python-requests/2.32", link: "https://shop.example" },
      }),
      // The same fact in another message.
      sesEvent("Send"),
      { notificationType: "AmazonSnsSubscriptionSucceeded", message: "x" },
      { eventType: "Bounce", mail: { messageId: 7 } },
    ])
      await feed(service, payload);
    const repeated = service.signer.notification(asMessage(sesEvent("Delivery", { after: 5 })));
    for (let times = 0; times < 3; times++) await service.ingest(repeated);
    await service.ingest({ ...repeated, Message: "forged" });
    await service.ingest(
      service.signer.notification("x", { TopicArn: "arn:aws:sns:eu-west-1:123456789012:other" }),
    );
    await service.ingest("no JSON");
    await service.ingest("x".repeat(1024 * 1024 + 1));
    await fetch(`${service.url}/ingest/sns/raw/${"w".repeat(32)}`, { method: "POST", body: "{}" });
    // A process counts what it has applied after the commit that makes it visible.
    await until("the last notification is counted", async () => {
      after = await readMetrics(service.url);
      return after.get("fanmail_apply_lag_seconds_count") === 8;
    });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test("notifications, by whether they were new", () => {
    expect(counted(after, "fanmail_notifications_received_total")).toEqual({ '{source="http"}': 8 });
    expect(counted(after, "fanmail_notifications_duplicate_total")).toEqual({ '{source="http"}': 2 });
    expect(counted(after, "fanmail_notifications_unavailable_total")).toEqual({});
  });

  test("what comes through SQS, apart", async () => {
    const intake = new Intake(service.context);
    await intake.accept(JSON.stringify(service.signer.notification(asMessage(sesEvent("Reject")))), "sqs");
    await intake.accept("no JSON", "sqs").catch(() => {});
    await intake.close();
    const readings = await readMetrics(service.url);
    expect(readings.get('fanmail_notifications_received_total{source="sqs"}')).toBe(1);
    expect(readings.get('fanmail_notifications_refused_total{source="sqs",cause="not_json"}')).toBe(1);
  });

  test("what was refused, by the reason", () => {
    expect(counted(after, "fanmail_notifications_refused_total")).toEqual(
      Object.fromEntries(
        ["signature", "unknown_topic", "not_json", "too_large", "raw_token"].map((cause) => [
          `{source="http",cause="${cause}"}`,
          1,
        ]),
      ),
    );
  });

  test("events, by whether and why they count", () => {
    expect(counted(after, "fanmail_events_total")).toEqual({
      '{type="sent"}': 1,
      '{type="opened"}': 1,
      '{type="delivered"}': 1,
    });
    expect(counted(after, "fanmail_events_discarded_total")).toEqual({
      '{reason="open_window"}': 1,
      '{reason="machine"}': 1,
    });
    expect(after.get("fanmail_events_repeated_total")).toBe(1);
    expect(after.get("fanmail_notifications_ignored_total")).toBe(1);
    expect(after.get("fanmail_notifications_quarantined_total")).toBe(1);
    expect(after.get("fanmail_entries_unreadable_total")).toBe(2);
    expect(after.get("fanmail_quarantined_notifications")).toBe(1);
  });

  test("commits and transactions, with their sizes and durations", () => {
    expect(after.get("fanmail_batch_size_sum")).toBe(10);
    expect(after.get("fanmail_commit_seconds_count")).toBe(after.get("fanmail_batch_size_count"));
    expect(after.get("fanmail_apply_seconds_count")).toBeGreaterThan(0);
    expect(after.get("fanmail_apply_lag_seconds_count")).toBe(8);
    expect(after.get("fanmail_apply_lag_seconds_sum")).toBeGreaterThan(0);
  });

  test("series that are known begin at 0", () => {
    const begin = [
      'fanmail_notifications_received_total{source="sqs"}',
      'fanmail_notifications_refused_total{source="sqs",cause="signature"}',
      'fanmail_notifications_refused_total{source="http",cause="aborted"}',
      'fanmail_events_total{type="complained"}',
      'fanmail_events_discarded_total{reason="machine"}',
      "fanmail_batches_failed_total",
      "fanmail_batch_size_count",
      "fanmail_apply_seconds_count",
      'fanmail_webhook_attempts_total{outcome="http_5xx"}',
      "fanmail_batches_waiting",
      'fanmail_webhook_endpoints{state="disabled"}',
      `fanmail_topic_silent{topic="${testTopic}"}`,
    ];
    expect(begin.map((name) => [name, before.get(name)])).toEqual(begin.map((name) => [name, 0]));
    expect(before.has(`fanmail_topic_last_notification_seconds{topic="${testTopic}"}`)).toBe(false);
  });

  test("and how Node.js does", () => {
    expect(after.get("process_resident_memory_bytes")).toBeGreaterThan(0);
    expect(after.has("nodejs_eventloop_lag_seconds")).toBe(true);
  });

  test("are given to this machine alone on the port of the API", async () => {
    for (const name of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Proto"]) {
      const answer = await fetch(`${service.url}/metrics`, { headers: { [name]: "127.0.0.1" } });
      expect([name, answer.status, await answer.json()]).toEqual([
        name,
        403,
        { error: "Metrics are given to this machine alone here; METRICS_PORT serves them to others" },
      ]);
    }
  });

  test("are not given to a proxy of this machine that speaks HTTP/1.0 and adds no header", async () => {
    const { hostname, port } = new URL(service.url);
    const socket = connect(Number(port), hostname);
    socket.write("GET /metrics HTTP/1.0\r\n\r\n");
    expect(await readText(socket)).toMatch(/^HTTP\/1.1 403 /);
  });

  test("are not given to a page of a browser of this machine whose name resolves to it", async () => {
    const { hostname, port } = new URL(service.url);
    const answerTo = async (host: string) => {
      const socket = connect(Number(port), hostname);
      socket.write(`GET /metrics HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
      return (await readText(socket)).slice(0, 13);
    };
    const elsewhere = [
      "rebinding.example",
      `rebinding.example:${port}`,
      "127.0.0.1.example",
      "localhost.example",
      "",
    ];
    for (const host of elsewhere) expect([host, await answerTo(host)]).toEqual([host, "HTTP/1.1 403 "]);
    for (const host of ["localhost", `LOCALHOST:${port}`, `127.0.0.1:${port}`, "[::1]"])
      expect([host, await answerTo(host)]).toEqual([host, "HTTP/1.1 200 "]);
  });

  test("requests are measured under their route, never under the path that was asked for", async () => {
    await service.get(`/v1/activity/jane@example.com`);
    await service.get("/nowhere/confidential", null);
    for (const method of ["PROPFIND", "MKCOL"]) await fetch(`${service.url}/nowhere`, { method });
    await fetch(`${service.url}/ingest/sns/raw/${rawToken}`, { method: "POST", body: "{}" });

    const text = await (await fetch(`${service.url}/metrics`)).text();
    const count = (labels: string) => text.match(`fanmail_http_request_seconds_count{${labels}} (\\d+)`)?.[1];
    expect(count('method="GET",route="/v1/activity/:id",status="404"')).toBe("1");
    expect(count('method="GET",route="none",status="404"')).toBe("1");
    expect(count('method="other",route="none",status="404"')).toBe("2");
    expect(count('method="POST",route="/ingest/sns",status="200"')).toBe("10");
    expect(count('method="POST",route="/ingest/sns/raw",status="403"')).toBe("1");
    expect(text).not.toMatch(/jane@|confidential|rrrr/);
  });
});

describe("what the database says", () => {
  let database: TestDatabase;
  let service: TestService;

  beforeAll(async () => {
    database = await testDatabase();
    service = await startTestService({
      databaseUrl: database.url,
      roles: { receiver: true, workers: false },
    });
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });

  test("is read when it is asked for", async () => {
    const { context } = service;
    await addEndpoint(context, "http://127.0.0.1:1/a");
    const held = await addEndpoint(context, "http://127.0.0.1:1/b");
    await context.db.query("update webhook_endpoints set state = 'disabled' where id = $1", [held.id]);
    await service.ingest(service.signer.notification(asMessage(sesEvent("Send"))));
    await context.db.query("update batches set received_at = now() - interval '1 hour'");
    await context.db.query(
      `update topics set heard_since = now() - interval '2 days', last_notification_at = now() - interval '1 hour'`,
    );

    const readings = await readMetrics(service.url);

    const of = (name: string) => readings.get(name);
    expect(of("fanmail_database_up")).toBe(1);
    expect(of("fanmail_batches_waiting")).toBe(1);
    expect(Math.round((of("fanmail_oldest_batch_seconds") ?? 0) / 60)).toBe(60);
    expect(counted(readings, "fanmail_webhook_endpoints")).toEqual({
      '{state="enabled"}': 1,
      '{state="disabled"}': 1,
    });
    expect(of(`fanmail_topic_silent{topic="${testTopic}"}`)).toBe(1);
    const heard = of(`fanmail_topic_last_notification_seconds{topic="${testTopic}"}`) ?? 0;
    expect(Math.round(heard / 60)).toBe(60);
  });

  test("of a topic that was removed says nothing", async () => {
    const { db, clock } = service.context;
    const arn = "arn:aws:sns:eu-west-1:123456789012:removed";
    await db.query("insert into topics (project_id, id, arn) values ($1, $2, $3)", [
      defaultProjectId,
      clock.newId(),
      arn,
    ]);
    expect((await readMetrics(service.url)).get(`fanmail_topic_silent{topic="${arn}"}`)).toBe(0);
    await db.query("delete from topics where arn = $1", [arn]);
    expect((await readMetrics(service.url)).has(`fanmail_topic_silent{topic="${arn}"}`)).toBe(false);
  });

  test("while it is away is that it is away; what the process counts is answered, the refusal too", async () => {
    await database.block();
    const refused = await service.ingest(service.signer.notification(asMessage(sesEvent("Send"))));
    const readings = await readMetrics(service.url);
    await database.unblock();

    expect(refused.status).toBe(503);
    expect(readings.get("fanmail_database_up")).toBe(0);
    expect(readings.has("fanmail_batches_waiting")).toBe(false);
    expect(counted(readings, "fanmail_notifications_received_total")).toEqual({ '{source="http"}': 1 });
    expect(counted(readings, "fanmail_notifications_unavailable_total")).toEqual({ '{source="http"}': 1 });
    expect((await readMetrics(service.url)).get("fanmail_database_up")).toBe(1);
  });
});
