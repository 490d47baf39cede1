import { expect, test } from "vitest";
import { storeBatch } from "../../src/storage/journal.ts";
import { openRebuild, runRebuild } from "../../src/tools/rebuild/rebuild.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { apply } from "../support/apply.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { notification } from "../support/notification.ts";
import { asMessage, sesEvent } from "../support/ses.ts";

import { ErasureApi, jane, person, toBoth, toJane } from "./erasure-api.ts";

const api = new ErasureApi();

test("a rebuild does not bring the person back, and waits until the journal is done", async () => {
  await api.janesMail();
  await api.mailToBoth();
  await api.erase();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  await expect(openRebuild(api.service.context, options, false)).rejects.toThrow(
    "1 erased people are still being taken out of the journal",
  );
  await api.eraseAll();
  const changed: unknown[] = [];
  const before = await api.database.db.query("select * from activity order by id");

  const opened = await openRebuild(api.service.context, options, false);
  await runRebuild(api.service.context, opened, options, {
    onChange: (one) => changed.push(one),
    onStep: () => {},
  });

  expect(changed).toEqual([]);
  expect(await api.database.db.query("select * from activity order by id")).toEqual(before);
});

test("a rebuild that is under way ends, because it has read what is erased", async () => {
  await api.janesMail();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  const opened = await openRebuild(api.service.context, options, false);
  await api.erase();

  const going = runRebuild(api.service.context, opened, options, { onChange: () => {}, onStep: () => {} });
  await expect(going).rejects.toThrow("a person was erased");
  expect(await api.tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("what is told afterwards of an erased email is acknowledged and not recorded, in no table", async () => {
  await api.janesMail();
  await api.mailToBoth();
  await api.erase();
  await api.eraseAll();
  const before = await api.database.db.query("select * from activity order by id");

  await apply(
    api.service,
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Complaint", { ...toBoth, after: 6_000, detail: { feedbackId: "feedback-2" } }),
  );

  expect(await api.tablesWith("jane")).toEqual([]);
  const after = await api.database.db.query<{ recipient: string; complained_at: Date | null }>(
    "select * from activity order by id",
  );
  const erased = ({ recipient }: { recipient?: string }) => recipient?.endsWith("@erased.invalid");
  expect(after.filter(erased)).toEqual(before.filter(erased));
  expect(after.find(({ recipient }) => recipient === "joe@example.com")?.complained_at).not.toBeNull();
});

test("a late notification takes nothing along of a new email in the same batch", async () => {
  await api.janesMail();
  await api.erase();
  await api.eraseAll();

  await apply(
    api.service,
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Send", { messageId: "message-9", to: [jane] }),
  );

  const rows = await api.database.db.query<{ body: string }>(
    "select body from notifications where body ilike '%jane%'",
  );
  expect(rows.map(({ body }) => JSON.parse(JSON.parse(body).Message).mail.messageId)).toEqual(["message-9"]);
  expect(await api.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", current_status: "sent" }],
  });
});

test("a rebuild leaves an erased email alone whose notification a clock that is ahead has dated later", async () => {
  const later = new Date(Date.now() + 60_000);
  const batchId = api.service.context.clock.newId();
  const body = JSON.stringify({ Message: asMessage(sesEvent("Send", toJane)) });
  await storeBatch(api.database.db, api.service.context.partitions, batchId, [
    notification({ body, sns_timestamp: later }),
  ]);
  await applyBatch(api.service.context, { batchId });
  await api.erase();
  await api.eraseAll();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };

  const opened = await openRebuild(api.service.context, options, false);
  await runRebuild(api.service.context, opened, options, { onChange: () => {}, onStep: () => {} });

  expect(await api.tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("a batch that was stored before, and is applied after, does not bring the person back", async () => {
  await api.janesMail();
  await api.database.db.query("update batches set applied_at = null");
  await api.database.db.query("truncate events, activity");
  await api.track(jane, "login", {});

  await api.erase();
  // The batch is applied while the journal still tells of the person.
  const [batch] = await api.database.db.query<{ id: string }>("select id from batches");
  await applyBatch(api.service.context, { batchId: batch?.id ?? "" });
  await api.eraseAll();

  expect(await api.tablesWith("jane")).toEqual([]);
});

test("what comes after the erasure is a new recipient's, whom the end of it leaves alone", async () => {
  await addEndpoint(api.service.context, "https://example.com/hook");
  await api.janesMail();
  await api.erase();
  const later = new Date(Date.now() + 60_000);
  const batchId = api.service.context.clock.newId();
  const message = asMessage(
    sesEvent("Send", { messageId: "message-9", to: [jane], mail: { timestamp: later.toISOString() } }),
  );
  const body = JSON.stringify({ Message: message });
  await storeBatch(api.database.db, api.service.context.partitions, batchId, [
    notification({ body, sns_timestamp: later }),
  ]);
  await applyBatch(api.service.context, { batchId });
  await api.track(jane, "login", { city: "Utrecht-78" });

  await api.eraseAll();

  expect(await api.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", recipient_primary: jane }],
  });
  expect(await api.get("/v1/recipients/jane.doe@example.com")).toMatchObject({
    data: { attributes: { city: "Utrecht-78" } },
  });
  expect(await api.tablesWith("jane")).toEqual(expect.arrayContaining(["deliveries", "notifications"]));
});
