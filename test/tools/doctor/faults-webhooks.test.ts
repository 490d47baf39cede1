import { randomUUID } from "node:crypto";
import { systemClock } from "../../../src/clock.ts";
import { markApplied, quarantine, storeBatch } from "../../../src/storage/journal.ts";
import { partitionsOf } from "../../../src/storage/partitions.ts";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { notification } from "../../support/notification.ts";
import { closedPort, sql, testFaults, world } from "./faults.ts";

testFaults([
  {
    code: "bullmq-missing",
    fault: "BullMQ's tables are missing",
    writes: true,
    make: () => sql("drop schema bullmq cascade"),
    area: "queue",
    what: /BullMQ's tables .*are missing/,
    remedy: /fanmail migrate/,
  },
  {
    code: "redis-away",
    fault: "Redis is down",
    make: async () => world.configure({ REDIS_URL: `redis://:secret@127.0.0.1:${await closedPort()}` }),
    area: "queue",
    what: /Redis at 127\.0\.0\.1:\d+ cannot be used: .*ECONNREFUSED/,
    remedy: /Start Redis/,
  },
  {
    code: "workers-none",
    fault: "no worker runs",
    writes: true,
    make: () => batch({ age: "5 minutes" }),
    area: "queue",
    what: /1 batch of notifications waited for more than a minute, the oldest for 5 minutes: no worker runs/,
    remedy: /Start fanmail worker/,
  },
  {
    code: "workers-behind",
    fault: "workers are behind",
    writes: true,
    async make() {
      await batch({ age: "5 minutes" });
      await batch({ age: "6 minutes", appliedAt: new Date() });
    },
    area: "queue",
    what: /workers apply batches, but are behind/,
    remedy: /more of fanmail worker/,
  },
  {
    code: "batches-failed",
    fault: "a batch cannot be applied",
    writes: true,
    make: () => batch({ age: "30 seconds", attempts: 6, lastError: "disk full" }),
    area: "journal",
    what: /1 batch cannot be applied, after up to 6 attempts: disk full/,
    remedy: /try again by themselves/,
  },
  {
    code: "quarantine",
    fault: "notifications are in quarantine",
    writes: true,
    async make() {
      const { db } = world.database;
      const [one, two] = [
        notification({ sns_timestamp: new Date() }),
        notification({ sns_timestamp: new Date() }),
      ];
      const ids = [systemClock.newId(), systemClock.newId()];
      for (const [index, row] of [one, two].entries()) {
        await storeBatch(db, partitionsOf(db), ids[index]!, [row]);
        await quarantine(db, [{ ...row, quarantine_reason: "bounce.timestamp is not a time" }]);
      }
      await markApplied(db, ids, { events: 0, repeated: 0, discarded: 0, ignored: 0, quarantined: 2 });
    },
    area: "journal",
    what: /2 notifications of the last 7 days are in quarantine: bounce\.timestamp is not a time/,
    remedy: /fanmail rebuild/,
  },
  {
    code: "endpoint-disabled",
    fault: "an endpoint is disabled, and webhooks are held",
    writes: true,
    async make() {
      await sql(
        "update webhook_endpoints set state = 'disabled', disabled_reason = 'failing', disabled_at = now()",
      );
      await delivery({ state: "held", age: "1 day" });
    },
    area: "webhooks",
    what: /\(example\.com\) was disabled because it failed for days at .*; 1 webhook is held for it/,
    remedy: /fanmail endpoints enable .*undelivered/,
  },
  {
    code: "endpoint-very-late",
    fault: "webhooks have been due for hours",
    writes: true,
    async make() {
      await delivery({ state: "pending", age: "3 hours" });
      await sql("update webhook_lanes set failing_since = now() - interval '4 hours'");
    },
    area: "webhooks",
    what: /\(example\.com\) has 1 webhook due, the oldest for 3 hours; it has failed since/,
    remedy: /GET \/v1\/webhooks\/[\w-]+\/deliveries/,
  },
  {
    code: "endpoint-late",
    fault: "webhooks have been due for twenty minutes, and none is posted",
    writes: true,
    make: () => delivery({ state: "pending", age: "20 minutes" }),
    area: "webhooks",
    what: /the oldest for 20 minutes\./,
    remedy: /fanmail worker/,
  },
  {
    code: "secrets-closed",
    fault: "the encryption key is a different one",
    make() {
      world.patient = { ...world.patient, encryptionKeys: [Buffer.alloc(32, 8)] };
    },
    area: "webhooks",
    what: /Secrets of 1 endpoint do not open/,
    remedy: /ENCRYPTION_KEY/,
  },
  {
    code: "secrets-closed",
    fault: "the encryption key is lost",
    make() {
      world.patient = { ...world.patient, encryptionKeys: null };
    },
    area: "webhooks",
    what: /There is no encryption key/,
    remedy: /ENCRYPTION_KEY/,
  },
]);

function batch(fields: { age: string; attempts?: number; lastError?: string; appliedAt?: Date }) {
  return sql(
    `insert into batches (id, received_at, notification_count, first_timestamp, last_timestamp, attempts, last_error, applied_at)
     values ($1, now() - $2::interval, 1, now(), now(), $3, $4, $5)`,
    [systemClock.newId(), fields.age, fields.attempts ?? 0, fields.lastError, fields.appliedAt],
  );
}

function delivery({ state, age }: { state: string; age: string }) {
  return sql(
    `insert into deliveries (project_id, id, endpoint_id, event_id, event_type, body, state, due_at, created_at)
     values ($1, $2, $3, $4, 'email.bounce', '{}', $5, now() - $6::interval, now() - $6::interval)`,
    [defaultProjectId, systemClock.newId(), world.endpointId, randomUUID(), state, age],
  );
}
