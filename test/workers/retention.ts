import { afterAll, beforeAll, beforeEach } from "vitest";
import { systemClock } from "../../src/clock.ts";
import type { Context } from "../../src/context.ts";
import { type AcceptedNotification, storeBatch } from "../../src/storage/journal.ts";
import { journalDays } from "../../src/storage/partitions.ts";
import { retain } from "../../workers/retain.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { notification } from "../support/notification.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage, type SesPayload } from "../support/ses.ts";

/*
 * What is kept for a while goes, and what still tells something does not.
 */

export let database: TestDatabase;

export let service: TestService;

export let context: Context;

export const never = new AbortController().signal;

/** Makes all passes as if so many days had gone by. */
export async function retainAfter(days: number, stopping = never): Promise<void> {
  await database.db.query("delete from retention_passes");
  const now = () => new Date(Date.now() + days * 86_400_000);
  await retain({ ...context, clock: { ...systemClock, now } }, stopping);
}

export const at = (day: string) => new Date(`${day}T12:00:00.000Z`);

export const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().slice(0, 10);

export function journaled(payload: SesPayload, sentAt: Date): AcceptedNotification {
  return notification({ body: JSON.stringify({ Message: asMessage(payload) }), sns_timestamp: sentAt });
}

/** Stores notifications as one batch, without applying it. @returns the id of the batch. */
export async function store(...notifications: AcceptedNotification[]): Promise<string> {
  const batchId = context.clock.newId();
  await storeBatch(context.db, context.partitions, batchId, notifications);
  return batchId;
}

export const daysOfJournal = async () => (await journalDays(database.db)).filter((day) => day < daysAgo(-1));

export async function rows(sql: string): Promise<Record<string, unknown>[]> {
  return database.db.query(sql);
}

/** Each file needs the hooks, and a worker loads this module once. */
export function setUp(): void {
  beforeAll(async () => {
    database = await testDatabase();
    // Neither workers nor their own passes: the test makes them.
    const roles = { receiver: true, workers: false };
    service = await startTestService({ databaseUrl: database.url, roles });
    context = service.context;
  });
  afterAll(async () => {
    await service?.close();
    await database?.drop();
  });
  beforeEach(async () => {
    await database.db.query(
      "truncate activity, events, notifications, batches, journal_drops, deliveries, attempts, retention_passes",
    );
  });
}
