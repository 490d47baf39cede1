import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eraseStep } from "../../src/erasure/erase-person.ts";
import { storeBatch } from "../../src/storage/journal.ts";
import { openRebuild, runRebuild } from "../../src/tools/rebuild/rebuild.ts";
import { applyBatch } from "../../workers/apply-batch.ts";
import { newKey } from "../http/api.ts";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { notification } from "../support/notification.ts";
import { startTestService, type TestService, testApiKey } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

let database: TestDatabase;
let service: TestService;

beforeEach(async () => {
  database = await testDatabase();
  service = await startTestService({
    databaseUrl: database.url,
    roles: { receiver: true, workers: false },
  });
});
afterEach(async () => {
  await service.close();
  await database.drop();
});

const jane = "Jane.Doe@Example.com";
const headers = [{ name: "To", value: `Jane Doe <${jane}>, Joe Bloggs <joe@example.com>` }];
const person = { userAgent: "Mozilla/5.0 (Windows NT 10.0) Chrome/97.0", ipAddress: "198.51.100.77" };
const toJane = { messageId: "message-1", to: [jane] };
const toBoth = { messageId: "message-2", to: [jane, "joe@example.com"], mail: { headers } };

async function janesMail(): Promise<void> {
  const subject = "Jane, your order";
  await apply(
    service,
    sesEvent("Send", {
      ...toJane,
      mail: { commonHeaders: { from: ["shop@example.org"], subject }, tags: { user: ["jane-77"] } },
    }),
    sesEvent("Delivery", { ...toJane, after: 5, detail: { smtpResponse: "250 to jane.doe@example.com" } }),
    sesEvent("Open", { ...toJane, after: 60, detail: person }),
    sesEvent("Click", {
      ...toJane,
      after: 90,
      detail: { ...person, link: "https://example.org/?for=jane.doe%40example.com" },
    }),
  );
}

async function mailToBoth(): Promise<void> {
  await apply(
    service,
    sesEvent("Send", toBoth),
    sesEvent("Delivery", { ...toBoth, after: 4 }),
    sesEvent("Bounce", {
      ...toBoth,
      after: 5,
      detail: {
        feedbackId: "feedback-1",
        bouncedRecipients: [
          { emailAddress: jane, diagnosticCode: "550 <Jane.Doe@example.com> unknown", action: "failed" },
        ],
      },
    }),
  );
}

async function erase(query = "", key = testApiKey): Promise<[number, unknown]> {
  const answer = await service.request("DELETE", `/v1/recipients/jane.doe@example.com${query}`, { key });
  return [answer.status, await answer.json()];
}

async function eraseAll(): Promise<void> {
  let isMore = true;
  while (isMore) isMore = await eraseStep(database.db);
}

test("goes from events of others too, in which a server named the person", async () => {
  await janesMail();
  const toJoe = { messageId: "message-3", to: ["joe@example.com"] };
  const forwarded = { emailAddress: jane, action: "failed", diagnosticCode: `550 <${jane}> unknown` };
  const detail = { bounceType: "Permanent", bounceSubType: "General", forwardedTo: { who: jane } };
  await apply(
    service,
    sesEvent("Send", toJoe),
    sesEvent("Bounce", { ...toJoe, after: 5, detail: { ...detail, bouncedRecipients: [forwarded] } }),
  );
  const naming = () =>
    database.db.query(
      "select type from events where strpos(lower(detail::text), 'jane.doe@example.com') > 0",
    );
  expect((await naming()).map(({ type }) => type)).toContain("bounced");

  expect((await erase())[0]).toBe(200);
  await eraseAll();

  expect(await naming()).toEqual([]);
  const [joes] = await database.db.query(
    `select detail, current_status from events join activity on activity.id = owner_id
     where type = 'bounced' and recipient = 'joe@example.com'`,
  );
  expect(joes).toEqual({
    detail: { action: "failed", bounce_type: "Permanent", bounce_subtype: "General" },
    current_status: "bounced_hard",
  });
});

/** The tables in which a text stands somewhere, in whatever case. */
async function tablesWith(text: string): Promise<string[]> {
  const tables = await database.db.query<{ name: string }>(
    `select relname as name from pg_class
     where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await database.db.query(`select 1 from ${name} where ${name}::text ilike $1 limit 1`, [
      `%${text}%`,
    ]);
    if (rows.length > 0) found.push(name);
  }
  return found;
}

async function get(path: string): Promise<unknown> {
  return (await service.get(path)).json();
}

async function track(email: string, event: string, properties: object): Promise<void> {
  const answer = await service.request("POST", "/v1/events", { body: { email, event, properties } });
  expect(answer.status).toBe(201);
}

test("a person is gone from every table, and what remains counts as before", async () => {
  await addEndpoint(service.context, "https://example.com/hook");
  await janesMail();
  await mailToBoth();
  await track(jane, "login", { name: "Jane Doe", city: "Utrecht-77" });
  await track("joe@example.com", "login", { city: "Joetown" });
  const everything = "since=2026-01-01&until=2027-01-01";
  const before = await get(`/v1/domain-stats?${everything}`);
  expect(await tablesWith("jane")).toEqual(
    expect.arrayContaining(["activity", "deliveries", "events", "notifications", "recipients"]),
  );

  expect(await erase()).toEqual([
    200,
    {
      success: true,
      data: {
        recipient_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        // Of the first email four, of the second sent, delivered and bounced; webhooks of these, of the
        // suppression, and of the login.
        erased: { activities: 2, events: 7, custom_events: 1, webhooks: 9, suppression: true },
        journal: "pending",
      },
    },
  ]);
  await eraseAll();

  for (const text of ["jane", "utrecht-77", "198.51.100.77"]) {
    expect([text, await tablesWith(text)]).toEqual([text, []]);
  }
  expect(await get(`/v1/domain-stats?${everything}`)).toEqual(before);
  expect((await service.get("/v1/recipients/jane.doe@example.com")).status).toBe(404);
  expect(await get("/v1/activity?email=jane.doe@example.com")).toMatchObject({ data: [] });
  expect(await get("/v1/events?event=login")).toMatchObject({
    data: [
      { email: "joe@example.com", properties: { city: "Joetown" } },
      { email: expect.stringMatching(/^erased-.*@erased\.invalid$/), properties: {} },
    ],
  });
  expect(await erase()).toEqual([404, { error: "There is no recipient with this address" }]);
});

test("others of the same email stay as they are, in the journal too", async () => {
  await mailToBoth();
  const joes = "/v1/activity?email=joe@example.com";
  const before = await get(joes);

  await erase();
  await eraseAll();

  expect(await get(joes)).toEqual(before);
  const bodies = await database.db.query<{ body: string }>("select body from notifications");
  const messages = bodies.map(({ body }) => JSON.parse(JSON.parse(body).Message));
  expect(messages.filter((message) => message.erased)).toHaveLength(1);
  expect(messages.filter((message) => message.eventType === "Send")).toEqual([
    expect.objectContaining({
      mail: expect.objectContaining({
        destination: [expect.stringMatching(/@erased\.invalid$/), "joe@example.com"],
        headers: [
          { name: "To", value: expect.stringMatching(/^erased-\S+@erased\.invalid, Joe Bloggs <joe@/) },
        ],
      }),
    }),
  ]);
});

test("a rebuild does not bring the person back, and waits until the journal is done", async () => {
  await janesMail();
  await mailToBoth();
  await erase();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  await expect(openRebuild(service.context, options, false)).rejects.toThrow(
    "1 erased people are still being taken out of the journal",
  );
  await eraseAll();
  const changed: unknown[] = [];
  const before = await database.db.query("select * from activity order by id");

  const opened = await openRebuild(service.context, options, false);
  await runRebuild(service.context, opened, options, {
    onChange: (one) => changed.push(one),
    onStep: () => {},
  });

  expect(changed).toEqual([]);
  expect(await database.db.query("select * from activity order by id")).toEqual(before);
});

test("a rebuild that is under way ends, because it has read what is erased", async () => {
  await janesMail();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };
  const opened = await openRebuild(service.context, options, false);
  await erase();

  const going = runRebuild(service.context, opened, options, { onChange: () => {}, onStep: () => {} });
  await expect(going).rejects.toThrow("a person was erased");
  expect(await tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("what is told afterwards of an erased email is acknowledged and not recorded, in no table", async () => {
  await janesMail();
  await mailToBoth();
  await erase();
  await eraseAll();
  const before = await database.db.query("select * from activity order by id");

  await apply(
    service,
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Complaint", { ...toBoth, after: 6_000, detail: { feedbackId: "feedback-2" } }),
  );

  expect(await tablesWith("jane")).toEqual([]);
  const after = await database.db.query<{ recipient: string; complained_at: Date | null }>(
    "select * from activity order by id",
  );
  const erased = ({ recipient }: { recipient?: string }) => recipient?.endsWith("@erased.invalid");
  expect(after.filter(erased)).toEqual(before.filter(erased));
  expect(after.find(({ recipient }) => recipient === "joe@example.com")?.complained_at).not.toBeNull();
});

test("a late notification takes nothing along of a new email in the same batch", async () => {
  await janesMail();
  await erase();
  await eraseAll();

  await apply(
    service,
    sesEvent("Open", { ...toJane, after: 5_000, detail: person }),
    sesEvent("Send", { messageId: "message-9", to: [jane] }),
  );

  const rows = await database.db.query<{ body: string }>(
    "select body from notifications where body ilike '%jane%'",
  );
  expect(rows.map(({ body }) => JSON.parse(JSON.parse(body).Message).mail.messageId)).toEqual(["message-9"]);
  expect(await get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", current_status: "sent" }],
  });
});

test("a webhook of an event that is told to lie ahead is erased as well", async () => {
  await addEndpoint(service.context, "https://example.com/hook");
  const timestamp = new Date(Date.now() + 3_600_000).toISOString();
  const body = { email: jane, event: "reminder", timestamp };
  expect((await service.request("POST", "/v1/events", { body })).status).toBe(201);

  expect(await erase()).toMatchObject([200, { data: { erased: { custom_events: 1, webhooks: 1 } } }]);
  await eraseAll();

  expect(await tablesWith("jane")).toEqual([]);
});

test("a rebuild leaves an erased email alone whose notification a clock that is ahead has dated later", async () => {
  const later = new Date(Date.now() + 60_000);
  const batchId = service.context.clock.newId();
  const body = JSON.stringify({ Message: asMessage(sesEvent("Send", toJane)) });
  await storeBatch(database.db, service.context.partitions, batchId, [
    notification({ body, sns_timestamp: later }),
  ]);
  await applyBatch(service.context, { batchId });
  await erase();
  await eraseAll();
  const options = {
    ...{ projectId: null, since: null, isDryRun: false, perSecond: 0 },
    stop: new AbortController().signal,
  };

  const opened = await openRebuild(service.context, options, false);
  await runRebuild(service.context, opened, options, { onChange: () => {}, onStep: () => {} });

  expect(await tablesWith("jane.doe@example.com")).not.toContain("activity");
});

test("a batch that was stored before, and is applied after, does not bring the person back", async () => {
  await janesMail();
  await database.db.query("update batches set applied_at = null");
  await database.db.query("truncate events, activity");
  await track(jane, "login", {});

  await erase();
  // The batch is applied while the journal still tells of the person.
  const [batch] = await database.db.query<{ id: string }>("select id from batches");
  await applyBatch(service.context, { batchId: batch?.id ?? "" });
  await eraseAll();

  expect(await tablesWith("jane")).toEqual([]);
});

test("what comes after the erasure is a new recipient's, whom the end of it leaves alone", async () => {
  await addEndpoint(service.context, "https://example.com/hook");
  await janesMail();
  await erase();
  const later = new Date(Date.now() + 60_000);
  const batchId = service.context.clock.newId();
  const message = asMessage(
    sesEvent("Send", { messageId: "message-9", to: [jane], mail: { timestamp: later.toISOString() } }),
  );
  const body = JSON.stringify({ Message: message });
  await storeBatch(database.db, service.context.partitions, batchId, [
    notification({ body, sns_timestamp: later }),
  ]);
  await applyBatch(service.context, { batchId });
  await track(jane, "login", { city: "Utrecht-78" });

  await eraseAll();

  expect(await get("/v1/activity?email=jane.doe@example.com")).toMatchObject({
    data: [{ message_id: "message-9", recipient_primary: jane }],
  });
  expect(await get("/v1/recipients/jane.doe@example.com")).toMatchObject({
    data: { attributes: { city: "Utrecht-78" } },
  });
  expect(await tablesWith("jane")).toEqual(expect.arrayContaining(["deliveries", "notifications"]));
});

describe("suppression", () => {
  const suppress = () =>
    service.request("POST", "/v1/suppressions", { body: { email: "jane.doe@example.com" } });

  test("goes as well, also when nothing else is known of the person", async () => {
    await suppress();
    expect(await erase()).toMatchObject([
      200,
      { data: { recipient_id: null, erased: { suppression: true } } },
    ]);
    expect(await tablesWith("jane")).toEqual(["erasures"]);
    await eraseAll();
    expect(await tablesWith("jane")).toEqual([]);
  });

  test("stays with keep_suppression=true", async () => {
    await suppress();
    await track(jane, "login", {});
    expect(await erase("?keep_suppression=true")).toMatchObject([
      200,
      { data: { erased: { suppression: false } } },
    ]);
    await eraseAll();
    expect(await tablesWith("jane")).toEqual(["suppressions"]);
  });

  test("a wrong keep_suppression is named, and nothing is erased", async () => {
    await track(jane, "login", {});
    expect(await erase("?keep_suppression=yes")).toEqual([
      400,
      { error: "keep_suppression must be true or false" },
    ]);
    expect((await service.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
  });
});

test("another project's person is not known, and takes a key of all scopes", async () => {
  await janesMail();
  const other = await newKey(database.db, { isOtherProject: true });
  const narrow = await newKey(database.db, { scopes: ["events:read", "events:write"] });

  expect(await erase("", other.key)).toEqual([404, { error: "There is no recipient with this address" }]);
  expect((await erase("", narrow.key))[0]).toBe(403);
  expect((await service.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
});

test("workers clean the journal and webhooks that have gone out by themselves", async () => {
  const sink = await webhookSink(() => ({ status: 200, body: `thanks for ${jane}` }));
  const working = await startTestService({ databaseUrl: database.url });
  try {
    await addEndpoint(working.context, sink.url, { eventTypes: ["email.delivery"] });
    await janesMail();
    await until("the webhook is delivered", async () => {
      const rows = await database.db.query("select 1 from deliveries where state = 'succeeded'");
      return rows.length === 1;
    });

    await erase();

    await until("nothing is left", async () => (await tablesWith("jane")).length === 0);
    const [delivery] = await database.db.query<{ body: string; state: string }>(
      "select body, state from deliveries",
    );
    expect(delivery?.state).toBe("succeeded");
    expect(JSON.parse(delivery?.body ?? "")).toMatchObject({
      event: "email.delivery",
      data: { erased: true },
    });
    expect(await database.db.query("select place, address from erasures")).toEqual([
      { place: null, address: null },
    ]);
  } finally {
    await working.close();
    await sink.close();
  }
});
