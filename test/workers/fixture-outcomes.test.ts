import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { applyBatch } from "../../workers/apply-batch.ts";
import { type OutcomeRow, outcomes, publishedAt, queued } from "../fixtures/ses/outcomes.ts";
import { projectTest, type TestProject } from "../support/project-test.ts";

const directory = new URL("../fixtures/ses/", import.meta.url);
const payloads = readdirSync(directory)
  .filter((name) => name.endsWith(".json"))
  .map((name) => name.replace(".json", ""));

const test = projectTest({ roles: { receiver: false, workers: false } });

/** Full joins, so that an event or suppression without an activity is seen too. */
async function rows({ select }: TestProject): Promise<OutcomeRow[]> {
  const found = await select<OutcomeRow>(
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

test.for(payloads)("%s alone makes what its outcome says", async (name, { project, service }) => {
  const payload: unknown = JSON.parse(readFileSync(new URL(`${name}.json`, directory), "utf8"));
  const batchId = await project.store([payload], { sns_timestamp: new Date(publishedAt) });
  await applyBatch(service.context, { batchId });

  const outcome = outcomes[name] ?? [];
  const expected = typeof outcome === "string" ? [] : outcome;
  expect(await rows(project)).toEqual(
    expected.map(([recipient, differs]) => ({ ...queued, ...differs, recipient })),
  );
  expect(
    await project.select(
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
