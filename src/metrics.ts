import cluster from "node:cluster";
import type { ServerResponse } from "node:http";
import { Counter, collectDefaultMetrics, Histogram, Registry } from "prom-client";
import { httpRefusedCauses, type RefusalCause, refusedCauses, unverifiedCauses } from "./domain/errors.ts";
import { type DiscardReason, discardReasons } from "./domain/mail/decision.ts";
import { type EmailEventType, emailEventTypes } from "./domain/mail/event-names.ts";
import { type FailureClass, failureClasses } from "./domain/webhooks/outcome.ts";
import { metricsOfAll } from "./shared-metrics.ts";

/** How notifications reach a process. */
const sources = ["http", "sqs"] as const;
export type NotificationSource = (typeof sources)[number];
/** Whether a notification was new in the journal. */
export type StoreOutcome = "stored" | "duplicate";

/** The outcome of a POST; `our_fault`: an internal error kept it from being made. */
type AttemptOutcome = "succeeded" | FailureClass | "our_fault";
const outcomes: readonly AttemptOutcome[] = ["succeeded", ...failureClasses, "our_fault"];
const disabledReasons = ["gone", "failing"] as const;
/** A commit of the receiver holds 256 notifications at most. */
const batchSizes = [1, 2, 4, 8, 16, 32, 64, 128, 256];
/** A second means that a wake-up was lost, minutes that the workers cannot keep up. */
const lags = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];

/** The result of one transaction of a worker. */
type AppliedCounts = {
  /** The types of events that count now, and did not before. */
  counted: readonly EmailEventType[];
  /** Why events were discarded that were not before. */
  discardedFor: readonly DiscardReason[];
  repeated: number;
  ignored: number;
  quarantined: number;
  /** Entries of lists, such as recipients and tags, that were left out. */
  unreadable: number;
};

/** What this process counts, and others of its `--processes`, for `/metrics`: always after the commit that makes it true. */
export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics() {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  return {
    /** In Prometheus' text format. */
    text: cluster.isWorker ? metricsOfAll(registry) : () => registry.metrics(),
    ...intakeMetrics(registry),
    ...applyMetrics(registry),
    ...webhookMetrics(registry),
    ...requestMetrics(registry),
  };
}

function intakeMetrics(registry: Registry) {
  const registers = [registry];
  const name = (what: string) => `fanmail_notifications_${what}_total`;
  const of = (what: string, help: string) =>
    new Counter({ name: name(what), help, labelNames: ["source"], registers });
  const received = of("received", "Notifications that were new and have been stored");
  const duplicate = of("duplicate", "Notifications that were stored before");
  const unavailable = of("unavailable", "Notifications that could not be stored at that moment");
  const refused = new Counter({
    name: name("refused"),
    help: "Messages that were refused, by the reason",
    labelNames: ["source", "cause"],
    registers,
  });
  const size = histogram(registry, "fanmail_batch_size", "Notifications in a commit", batchSizes);
  const commit = histogram(registry, "fanmail_commit_seconds", "Duration of a commit of notifications");
  // A series that begins with its first count hides that count from rates.
  for (const source of sources) {
    for (const counter of [received, duplicate, unavailable]) counter.inc({ source }, 0);
    for (const cause of [...refusedCauses, ...unverifiedCauses]) refused.inc({ source, cause }, 0);
  }
  for (const cause of httpRefusedCauses) refused.inc({ source: "http", cause }, 0);
  const counters = eachOf(sources, (source) => ({
    stored: received.labels(source),
    duplicate: duplicate.labels(source),
    unavailable: unavailable.labels(source),
  }));
  return {
    countReceived: (source: NotificationSource, outcome: StoreOutcome) => counters[source][outcome].inc(),
    countUnavailable: (source: NotificationSource) => counters[source].unavailable.inc(),
    countRefused: (source: NotificationSource, cause: RefusalCause) => refused.inc({ source, cause }),
    /** A commit of the receiver. */
    observeCommit(notifications: number, seconds: number) {
      size.observe(notifications);
      commit.observe(seconds);
    },
  };
}

function applyMetrics(registry: Registry) {
  const registers = [registry];
  const of = (name: string, help: string) => new Counter({ name, help, registers });
  const events = new Counter({
    name: "fanmail_events_total",
    help: "Email events that began to count, by type",
    labelNames: ["type"],
    registers,
  });
  const discarded = new Counter({
    name: "fanmail_events_discarded_total",
    help: "Email events that were kept and do not count, by the reason",
    labelNames: ["reason"],
    registers,
  });
  const repeated = of("fanmail_events_repeated_total", "Email events that were known before");
  const quarantined = of("fanmail_notifications_quarantined_total", "Notifications that cannot be applied");
  const ignored = of("fanmail_notifications_ignored_total", "Notifications that report no email event");
  const unreadable = of(
    "fanmail_entries_unreadable_total",
    "Entries of lists in notifications, such as recipients and tags, that cannot be read and are left out",
  );
  const failed = of(
    "fanmail_batches_failed_total",
    "Transactions of workers that failed; they are tried again",
  );
  const seconds = histogram(registry, "fanmail_apply_seconds", "Duration of a transaction of a worker");
  const lag = histogram(registry, "fanmail_apply_lag_seconds", "From receiving a batch to applying it", lags);
  for (const type of emailEventTypes) events.inc({ type }, 0);
  for (const reason of discardReasons) discarded.inc({ reason }, 0);
  const byType = eachOf(emailEventTypes, (type) => events.labels(type));
  return {
    /** A transaction of a worker. @param lagSeconds for each batch in it, from being received to being applied. */
    observeApplied(counts: AppliedCounts, duration: number, lagSeconds: readonly number[]) {
      for (const type of counts.counted) byType[type].inc();
      for (const reason of counts.discardedFor) discarded.inc({ reason });
      repeated.inc(counts.repeated);
      quarantined.inc(counts.quarantined);
      ignored.inc(counts.ignored);
      unreadable.inc(counts.unreadable);
      seconds.observe(duration);
      for (const one of lagSeconds) lag.observe(one);
    },
    countBatchFailed: () => failed.inc(),
  };
}

function webhookMetrics(registry: Registry) {
  const attempts = new Counter({
    name: "fanmail_webhook_attempts_total",
    help: "Webhook attempts of this process, by outcome; our_fault: not posted because of an internal error",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const disabled = new Counter({
    name: "fanmail_webhook_endpoints_disabled_total",
    help: "Endpoints that this process disabled because they are gone or failed for days",
    labelNames: ["reason"],
    registers: [registry],
  });
  for (const outcome of outcomes) attempts.inc({ outcome }, 0);
  for (const reason of disabledReasons) disabled.inc({ reason }, 0);
  const byOutcome = eachOf(outcomes, (outcome) => attempts.labels(outcome));
  return {
    countAttempts: (outcome: AttemptOutcome, count = 1) => byOutcome[outcome].inc(count),
    countDisabled: (reason: (typeof disabledReasons)[number]) => disabled.inc({ reason }),
  };
}

function requestMetrics(registry: Registry) {
  const seconds = new Histogram({
    name: "fanmail_http_request_seconds",
    help: "Duration of requests; status aborted: the client did not wait for the answer",
    labelNames: ["method", "route", "status"],
    registers: [registry],
  });
  return {
    /** @param route as it is registered; the path itself may hold a token or an address. */
    observeRequest: (method: string, route: string, status: string, duration: number) =>
      seconds.observe({ method, route, status }, duration),
  };
}

/** Anybody can send any of the thirty other methods, and each would create a series. */
const usualMethods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/**
 * Measures a request until its answer is sent or the client is gone.
 * @param route read at the end, when it is known.
 */
export function measureRequest(
  metrics: Pick<Metrics, "observeRequest">,
  method: string,
  route: () => string,
  response: ServerResponse,
): void {
  const startedMs = performance.now();
  response.once("close", () => {
    const status = response.writableFinished ? String(response.statusCode) : "aborted";
    metrics.observeRequest(
      usualMethods.has(method) ? method : "other",
      route(),
      status,
      (performance.now() - startedMs) / 1000,
    );
  });
}

/** @param buckets prom-client's, for durations up to ten seconds, unless given. */
function histogram(registry: Registry, name: string, help: string, buckets?: number[]): Histogram {
  return new Histogram({ name, help, registers: [registry], ...(buckets && { buckets }) });
}

function eachOf<Name extends string, Value>(
  names: readonly Name[],
  make: (name: Name) => Value,
): Record<Name, Value> {
  // fromEntries forgets the type of its keys; there is one for each name.
  return Object.fromEntries(names.map((name) => [name, make(name)])) as Record<Name, Value>;
}
