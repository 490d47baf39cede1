import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { storeBatch } from "../../src/storage/journal.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { type OutcomeRow, outcomes, publishedAt, queued } from "../fixtures/ses/outcomes.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { notification } from "../support/notification.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { asMessage } from "../support/ses.ts";

const directory = new URL("../fixtures/ses/", import.meta.url);
const payloads = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(".json", ""));

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, roles: { receiver: false, workers: false } });
});
afterAll(async () => {
  await service.close();
  await database.drop();
});
beforeEach(async () => {
  await database.db.query("truncate activity, events, suppressions, batches, notifications");
});

async function applyPayload(name: string): Promise<void> {
  const { context } = service;
  const payload: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, directory), "utf8"));
  const message = typeof payload === "string" ? payload : asMessage(payload);
  const entry = notification({
    sns_timestamp: new Date(publishedAt),
    body: JSON.stringify({ Message: message }),
  });
  const batchId = context.clock.newId();
  await storeBatch(context.db, context.partitions, batchId, [entry]);
  await applyBatch(context, { batchId });
}

/** Full joins, so that an event or suppression without an activity is seen too. */
async function rows(): Promise<OutcomeRow[]> {
  const found = await database.db.query<OutcomeRow>(
    `select activity.recipient, current_status, delivered_at, bounced_at, complained_at, opened_first_at,
       opened_any_first_at, clicked_first_at, clicked_any_first_at, open_count, click_count, recipient_certain, is_test,
       discarded, detail->>'machine' as machine, coalesce((detail->'auto_reply')::boolean, false) as auto_reply,
       suppressions.reason as suppression
     from activity
     full join events on events.project_id = activity.project_id and events.owner_id = activity.id
     full join suppressions on suppressions.project_id = activity.project_id and address = activity.recipient
     order by activity.recipient`,
  );
  // Times as JSON spells them.
  return JSON.parse(JSON.stringify(found));
}

test("every payload has an outcome, and every outcome a payload", () => {
  expect(Object.keys(outcomes).toSorted()).toEqual(payloads.toSorted());
});

test.each(payloads)("%s alone makes what its outcome says", async (name) => {
  await applyPayload(name);

  const outcome = outcomes[name] ?? [];
  const expected = typeof outcome === "string" ? [] : outcome;
  expect(await rows()).toEqual(
    expected.map(([recipient, differs]) => ({ ...queued, ...differs, recipient })),
  );
  expect(
    await database.db.query(
      "select event_count, discarded_count, ignored_count, quarantined_count, last_error from batches",
    ),
  ).toEqual([
    {
      event_count: expected.length,
      discarded_count: expected.filter(([, { discarded }]) => discarded).length,
      ignored_count: outcome === "ignored" ? 1 : 0,
      quarantined_count: outcome === "quarantined" ? 1 : 0,
      last_error: null,
    },
  ]);
});
