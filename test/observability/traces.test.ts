import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { feed } from "../http/api.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { type ExportedSpan, type OtlpReceiver, otlpReceiver } from "./otlp-receiver.ts";

/** As the documentation has it: who has an SNS MessageId can find the trace. */
function computed(messageId: unknown): { traceId: string; spanId: string } {
  const digest = createHash("sha256").update(`${testTopic}\n${messageId}`).digest("hex");
  return { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
}

const [server, client, consumer] = [2, 3, 5];

describe("the trace of a notification", () => {
  let database: TestDatabase;
  let collector: OtlpReceiver;
  let sink: TestSink;
  let service: TestService;
  let endpoint: { id: string };
  let spans: ExportedSpan[];
  const messageIds: string[] = [];

  beforeAll(async () => {
    database = await testDatabase();
    collector = await otlpReceiver();
    sink = await webhookSink((_request, number) => ({ status: number === 1 ? 500 : 204 }));
    service = await startTestService({
      databaseUrl: database.url,
      environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
    });
    const { context, signer } = service;
    endpoint = await addEndpoint(context, `${sink.url}?token=confidential`, { eventTypes: ["email.bounce"] });
    const bounce = signer.notification(
      asMessage(
        sesEvent("Bounce", {
          to: ["victim@example.com", "other-victim@example.com"],
          mail: { commonHeaders: { subject: "confidential" }, tags: { note: ["confidential"] } },
        }),
      ),
    );
    const unreadable = signer.notification(asMessage({ eventType: "Bounce", mail: { messageId: 7 } }));
    messageIds.push(String(bounce["MessageId"]), String(unreadable["MessageId"]));
    for (const message of [bounce, bounce, unreadable])
      expect((await service.ingest(message)).status).toBe(200);
    await feed(service);
    await until("both webhooks are posted", () => sink.received.length >= 2);
    await until("what came of them is written", async () => {
      const open = await context.db.query("select 1 from deliveries where attempts = 0");
      return open.length === 0;
    });
    await context.db.query("update deliveries set due_at = now() where state = 'retrying'");
    await until("one is posted again", () => sink.received.length >= 3);
    // Closing sends what is left.
    await service.close();
    spans = collector.spans();
  });
  afterAll(async () => {
    await sink?.close();
    await collector?.close();
    await database?.drop();
  });

  const ofMessage = (place: number) =>
    spans.filter(({ traceId }) => traceId === computed(messageIds[place]).traceId);
  const named = (name: string) => spans.filter((span) => span.name === name);

  test("has the computed id, and begins with the span of the computed id", () => {
    const [first, ...repeats] = ofMessage(0).filter(({ name }) => name === "receive notification");
    expect(first).toMatchObject({
      ...computed(messageIds[0]),
      kind: server,
      attributes: {
        "messaging.system": "aws.sns",
        "messaging.message.id": messageIds[0],
        "messaging.destination.name": testTopic,
        "fanmail.outcome": "stored",
      },
    });
    expect(first?.parentSpanId ?? "").toBe("");
    expect(Number(first?.endTimeUnixNano)).toBeGreaterThanOrEqual(Number(first?.startTimeUnixNano));
    expect(repeats).toHaveLength(1);
    expect(repeats[0]).toMatchObject({
      parentSpanId: computed(messageIds[0]).spanId,
      attributes: { "fanmail.outcome": "duplicate" },
    });
  });

  test("goes on where it is applied, with what it told of", () => {
    const applied = [0, 1].map((place) =>
      ofMessage(place).filter(({ name }) => name === "apply notification"),
    );
    expect(applied).toMatchObject([
      [
        {
          kind: consumer,
          parentSpanId: computed(messageIds[0]).spanId,
          attributes: {
            "fanmail.outcome": "events",
            "fanmail.event.type": "bounced",
            "fanmail.recipients": 2,
          },
        },
      ],
      [
        {
          parentSpanId: computed(messageIds[1]).spanId,
          attributes: { "fanmail.outcome": "invalid", "fanmail.recipients": 0 },
        },
      ],
    ]);
  });

  test("ends with each attempt to post it, of which the receiver is told", () => {
    const posts = ofMessage(0).filter(({ name }) => name === "post webhook");
    const numbers = posts.map(
      ({ attributes }) => `${attributes["fanmail.attempt"]}: ${attributes["http.response.status_code"]}`,
    );
    expect(numbers.toSorted()).toEqual(["1: 204", "1: 500", "2: 204"]);
    expect(posts.find(({ status }) => status.code === 2)).toMatchObject({
      kind: client,
      parentSpanId: computed(messageIds[0]).spanId,
      attributes: {
        "fanmail.endpoint.id": endpoint.id,
        "fanmail.delivery.id": expect.stringMatching(/^[0-9a-f-]{36}$/),
        "http.response.status_code": 500,
        "error.type": "http_5xx",
      },
    });
    expect(sink.received.map(({ headers }) => headers["traceparent"]).toSorted()).toEqual(
      posts.map(({ traceId, spanId }) => `00-${traceId}-${spanId}-01`).toSorted(),
    );
  });

  test("is linked from the commits, the transactions and the jobs that held it", () => {
    const trace = computed(messageIds[0]);
    const linked = (name: string) =>
      named(name).filter(({ links }) => links.some(({ traceId }) => traceId === trace.traceId));
    expect(linked("commit batch").length).toBeGreaterThan(0);
    const [apply] = linked("apply batch");
    expect(apply?.links).toContainEqual(expect.objectContaining(trace));
    const job = named("process fanmail-apply").find(({ spanId }) => spanId === apply?.parentSpanId);
    const woken = spans.find(({ spanId }) => spanId === job?.parentSpanId);
    const commit = named("commit batch").find(({ spanId }) => spanId === woken?.parentSpanId);
    expect([woken?.name, commit?.traceId]).toEqual(["addBulk fanmail-apply", apply?.traceId]);
  });

  test("nothing is exported that idle workers do all day", () => {
    expect([...new Set(spans.map(({ name }) => name))].toSorted()).toEqual([
      "addBulk fanmail-apply",
      "addBulk fanmail-deliver",
      "apply batch",
      "apply notification",
      "commit batch",
      "post webhook",
      "process fanmail-apply",
      "process fanmail-deliver",
      "receive notification",
    ]);
  });

  test("comes from a service that has a name, and holds no address, subject, link, secret or payload", () => {
    expect(collector.resource()).toMatchObject({ "service.name": "fanmail" });
    expect(collector.headers[0]).toMatchObject({ path: "/v1/traces" });
    expect(collector.text()).not.toMatch(/victim|confidential|shop@|whsec_|127\.0\.0\.1|postgres/);
  });
});
