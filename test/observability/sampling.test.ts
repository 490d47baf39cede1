import { afterAll, beforeAll, expect, test } from "vitest";
import { feed } from "../http/api.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { type OtlpReceiver, otlpReceiver } from "./otlp-receiver.ts";

const messages = 20;
let database: TestDatabase;
let collector: OtlpReceiver;
let sink: TestSink;

beforeAll(async () => {
  database = await testDatabase();
  collector = await otlpReceiver();
  sink = await webhookSink(() => ({ status: 204 }));
});
afterAll(async () => {
  await sink?.close();
  await collector?.close();
  await database?.drop();
  delete process.env["OTEL_TRACES_SAMPLER"];
  delete process.env["OTEL_TRACES_SAMPLER_ARG"];
});

test("of a message that is sampled all is traced, by whichever process, and of another nothing", async () => {
  // The SDK reads them by itself.
  process.env["OTEL_TRACES_SAMPLER"] = "parentbased_traceidratio";
  process.env["OTEL_TRACES_SAMPLER_ARG"] = "0.5";
  const service = await startTestService({
    databaseUrl: database.url,
    environment: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url },
  });
  await addEndpoint(service.context, sink.url);
  for (let number = 0; number < messages; number++) {
    const MessageId = `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;
    const send = sesEvent("Send", { messageId: `message-${number}` });
    await service.ingest(service.signer.notification(asMessage(send), { MessageId }));
  }
  await feed(service);
  await until("all are posted", () => sink.received.length === messages);
  await service.close();

  const tracesOf = (name: string) =>
    collector
      .spans()
      .filter((span) => span.name === name)
      .map(({ traceId }) => traceId)
      .toSorted();
  const received = tracesOf("receive notification");
  // The ids of the messages decide, and they are always the same.
  expect(received.length).toBeGreaterThan(messages / 5);
  expect(received.length).toBeLessThan(messages);
  expect(tracesOf("apply notification")).toEqual(received);
  expect(tracesOf("post webhook")).toEqual(received);
  const told = sink.received.flatMap(
    ({ headers }) => String(headers["traceparent"] ?? "").split("-")[1] ?? [],
  );
  expect(told.toSorted()).toEqual(received);
  const stored = await database.db.query<{ count: number }>(
    "select count(traceparent)::integer as count from deliveries",
  );
  expect(stored).toEqual([{ count: received.length }]);
});
