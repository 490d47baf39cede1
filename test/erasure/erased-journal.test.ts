import { expect } from "vitest";
import { openRebuild, runRebuild } from "../../src/tools/rebuild/rebuild.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { sesEvent } from "../support/ses.ts";
import { erasureTest, jane, person, toBoth, toJane } from "./erasure.ts";

const test = erasureTest({ roles: { receiver: true, workers: false } });

test("a rebuild does not bring the person back, and waits until the journal is done", async ({
  project,
  service,
  erasure,
}) => {
  await erasure.janesMail();
  await erasure.mailToBoth();
  await erasure.erase();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  await expect(openRebuild(service.context, options, false)).rejects.toThrow(
    "1 erased people are still being taken out of the journal",
  );
  await erasure.eraseAll();
  const changed: string[] = [];
  const before = await project.select("select * from activity order by id");

  const opened = await openRebuild(service.context, options, false);
  await runRebuild(service.context, opened, options, {
    onChange: ({ key }) => changed.push(key.project_id),
    onStep: () => {},
  });

  expect(changed).not.toContain(project.id);
  expect(await project.select("select * from activity order by id")).toEqual(before);
});

test("a rebuild that is under way ends, because it has read what is erased", async ({ service, erasure }) => {
  await erasure.janesMail();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  const opened = await openRebuild(service.context, options, false);
  await erasure.erase();

  const going = runRebuild(service.context, opened, options, { onChange: () => {}, onStep: () => {} });
  await expect(going).rejects.toThrow("a person was erased");
  expect(await erasure.tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("what is told afterwards of an erased email is acknowledged and not recorded, in no table", async ({
  project,
  erasure,
}) => {
  await erasure.janesMail();
  await erasure.mailToBoth();
  await erasure.erase();
  await erasure.eraseAll();
  const before = await project.select("select * from activity order by id");

  await project.apply(
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Complaint", { ...toBoth, after: 6_000, detail: { feedbackId: "feedback-2" } }),
  );

  expect(await erasure.tablesWith("jane")).toEqual([]);
  const after = await project.select<{ recipient: string; complained_at: Date | null }>(
    "select * from activity order by id",
  );
  const erased = ({ recipient }: { recipient?: string }) => recipient?.endsWith("@erased.invalid");
  expect(after.filter(erased)).toEqual(before.filter(erased));
  expect(after.find(({ recipient }) => recipient === "joe@example.com")?.complained_at).not.toBeNull();
});

test("a late notification takes nothing along of a new email in the same batch", async ({
  project,
  erasure,
}) => {
  await erasure.janesMail();
  await erasure.erase();
  await erasure.eraseAll();

  await project.apply(
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Send", { messageId: "message-9", to: [jane] }),
  );

  const rows = await project.select<{ body: string }>(
    "select body from notifications where body ilike '%jane%'",
  );
  expect(rows.map(({ body }) => JSON.parse(JSON.parse(body).Message).mail.messageId)).toEqual(["message-9"]);
  expect(await erasure.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", current_status: "sent" }],
  });
});

test("a rebuild leaves an erased email alone whose notification a clock that is ahead has dated later", async ({
  project,
  service,
  erasure,
}) => {
  const later = new Date(Date.now() + 60_000);
  const batchId = await project.store([sesEvent("Send", toJane)], { sns_timestamp: later });
  await applyBatch(service.context, { batchId });
  await erasure.erase();
  await erasure.eraseAll();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };

  const opened = await openRebuild(service.context, options, false);
  await runRebuild(service.context, opened, options, { onChange: () => {}, onStep: () => {} });

  expect(await erasure.tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("a batch that was stored before, and is applied after, does not bring the person back", async ({
  project,
  service,
  database,
  erasure,
}) => {
  await erasure.janesMail();
  const [batch] = await project.select<{ id: string }>("select id from batches");
  await database.db.query("update batches set applied_at = null where id = $1", [batch?.id]);
  for (const table of ["events", "activity"])
    await database.db.query(`delete from ${table} where project_id = $1`, [project.id]);
  await erasure.track(jane, "login", {});

  await erasure.erase();
  // The batch is applied while the journal still tells of the person.
  await applyBatch(service.context, { batchId: batch?.id ?? "" });
  await erasure.eraseAll();

  expect(await erasure.tablesWith("jane")).toEqual([]);
});

test("what comes after the erasure is a new recipient's, whom the end of it leaves alone", async ({
  project,
  service,
  erasure,
}) => {
  await project.addEndpoint("https://example.com/hook");
  await erasure.janesMail();
  await erasure.erase();
  const later = new Date(Date.now() + 60_000);
  const mail = { timestamp: later.toISOString() };
  const batchId = await project.store([sesEvent("Send", { messageId: "message-9", to: [jane], mail })], {
    sns_timestamp: later,
  });
  await applyBatch(service.context, { batchId });
  await erasure.track(jane, "login", { city: "Utrecht-78" });

  await erasure.eraseAll();

  expect(await erasure.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", recipient_primary: jane }],
  });
  expect(await erasure.get("/v1/recipients/jane.doe@example.com")).toMatchObject({
    data: { attributes: { city: "Utrecht-78" } },
  });
  expect(await erasure.tablesWith("jane")).toEqual(expect.arrayContaining(["deliveries", "notifications"]));
});
