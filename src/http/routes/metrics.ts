import type { Express, Request } from "express";
import { Gauge, Registry } from "prom-client";
import { within } from "../../clock.ts";
import { isSilent, silentSeconds } from "../../domain/topic-silence.ts";
import { errorText, type Logger } from "../../logger.ts";
import type { Database } from "../../storage/database.ts";
import { journalTotals } from "../../storage/journal.ts";
import { type HeardTopic, listHeardTopics } from "../../storage/topics.ts";
import { endpointTotals, laneTotals } from "../../storage/webhooks/lanes.ts";
import { ApiError } from "../errors.ts";
import type { ApiContext } from "../route.ts";

/**
 * `/metrics` for Prometheus: what this process counted, and gauges that are read from the database. They name accounts and
 * topics and need no key.
 * @param isPublic whether others than Prometheus reach the port; then only this machine is answered.
 */
export function registerMetrics(
  app: Express,
  { db, log, metrics }: Pick<ApiContext, "db" | "log" | "metrics">,
  isPublic: boolean,
): void {
  app.get("/metrics", async (request, response) => {
    if (isPublic && !isFromThisMachine(request)) {
      throw new ApiError(
        403,
        "Metrics are given to this machine alone here; METRICS_PORT serves them to others",
      );
    }
    const [counted, stored] = await Promise.all([metrics.text(), storedMetrics(db, log)]);
    response.type(Registry.PROMETHEUS_CONTENT_TYPE).send(`${counted}\n${stored}`);
  });
}

const forwardingHeaders = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
];

const namesOfThisMachine = /^(localhost|127(\.\d+){3}|\[::1\])(:\d+)?$/i;

/**
 * A proxy on this machine forwards other clients: it adds a header, or speaks HTTP/1.0 as nginx does by default. A browser on
 * this machine may run a page whose name resolves to 127.0.0.1; it sends that name.
 */
function isFromThisMachine({ socket, headers, httpVersion }: Request): boolean {
  const peer = socket.remoteAddress?.replace(/^::ffff:/, "") ?? "";
  if (peer !== "::1" && !peer.startsWith("127.")) return false;
  if (!namesOfThisMachine.test(headers.host ?? "")) return false;
  return httpVersion !== "1.0" && forwardingHeaders.every((name) => headers[name] === undefined);
}

/** Prometheus waits 10 s by default, and what this process counts must be answered in any case. */
const readWithinMs = 5_000;

/**
 * Gauges from the database, in Prometheus' text format. While it cannot be read only `fanmail_database_up 0` is reported: an
 * older value would be wrong.
 */
async function storedMetrics(db: Database, log: Logger): Promise<string> {
  const registry = new Registry();
  const up = gauge(registry, "fanmail_database_up", "Whether this process reaches its database");
  try {
    const totals = await within(readWithinMs, readTotals(db), `No answer in ${readWithinMs} ms`);
    up.set(1);
    setGauges(registry, totals);
  } catch (error) {
    up.set(0);
    log.warn({ cause: errorText(error) }, "metrics of the database not read");
  }
  return registry.metrics();
}

type Totals = Awaited<ReturnType<typeof readTotals>>;

/** One after the other, so that metrics take no more than one connection from the workers. */
async function readTotals(db: Database) {
  return {
    journal: await journalTotals(db),
    lanes: await laneTotals(db),
    endpoints: await endpointTotals(db),
    topics: await listHeardTopics(db),
  };
}

function setGauges(registry: Registry, { journal, lanes, endpoints, topics }: Totals): void {
  const single: [name: string, help: string, value: number][] = [
    ["fanmail_batches_waiting", "Batches that are not applied yet", journal.batches_waiting],
    ["fanmail_oldest_batch_seconds", "How long the oldest of them has been waiting", journal.oldest_seconds],
    [
      "fanmail_quarantined_notifications",
      "Notifications quarantined in the last seven days",
      journal.quarantined,
    ],
    [
      "fanmail_webhook_deliveries_due",
      "Webhook deliveries that are due, over all enabled endpoints",
      lanes.due,
    ],
    ["fanmail_webhook_deliveries_in_flight", "Webhook deliveries that are being posted", lanes.in_flight],
    [
      "fanmail_webhook_oldest_due_seconds",
      "How long the oldest delivery has been due",
      lanes.oldest_due_seconds,
    ],
  ];
  for (const [name, help, value] of single) gauge(registry, name, help).set(value);
  const states = gauge(registry, "fanmail_webhook_endpoints", "Webhook endpoints", ["state"]);
  for (const [state, count] of Object.entries(endpoints)) states.set({ state }, count);
  setTopicGauges(registry, topics);
}

function setTopicGauges(registry: Registry, topics: readonly HeardTopic[]): void {
  const last = gauge(
    registry,
    "fanmail_topic_last_notification_seconds",
    "How long ago a topic sent its last new notification",
    ["topic"],
  );
  const silent = gauge(registry, "fanmail_topic_silent", "1: a topic has been silent for longer than usual", [
    "topic",
  ]);
  for (const { arn: topic, now, ...hearing } of topics) {
    const seconds = silentSeconds(hearing, now);
    if (seconds !== null) last.set({ topic }, seconds);
    silent.set({ topic }, isSilent(hearing, now) ? 1 : 0);
  }
}

function gauge(registry: Registry, name: string, help: string, labelNames: string[] = []): Gauge {
  return new Gauge({ name, help, labelNames, registers: [registry] });
}
