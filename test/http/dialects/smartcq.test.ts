import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { defaultProjectId } from "../../../src/storage/projects.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { startTestService, type TestService } from "../../support/service.ts";
import { sesEvent } from "../../support/ses.ts";
import { until } from "../../support/wait.ts";
import { ask, feed, newKey, seed } from "../api.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
beforeEach(() => database.db.query("truncate activity, events, recipients"));

type Sent = { id: string; status: string; createdAt: string };
type Page = { data: Sent[]; next: string | null };
async function page(query: string): Promise<Page> {
  const [status, body] = await ask(service, `/api/v1/sends?${query}`);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as Page;
}
/** All sends; waits out other transactions of the service, before which a page stops. */
async function allOf(query: string, count: number): Promise<Page> {
  await until(`${count} sends are listed`, async () => (await page(query)).data.length >= count);
  return page(query);
}

describe("GET /api/v1/sends", () => {
  test("tells a send as SmartCQ does", async () => {
    await feed(
      service,
      sesEvent("Send", { mail: { tags: { campaign_id: ["7b9f6f3e-6c1d-4a57-9f0a-1f0f3c1d2e4b"] } } }),
      sesEvent("Delivery", { after: 2 }),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mail", ipAddress: "192.0.2.1" } }),
    );
    const [activity] = await database.db.query<{ id: string; created_at: Date; exact: string }>(
      `select id, created_at, to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as exact from activity`,
    );
    const [recipient] = await database.db.query<{ id: string }>("select id from recipients");

    expect(await allOf("", 1)).toEqual({
      data: [
        {
          id: activity?.id,
          campaignId: "7b9f6f3e-6c1d-4a57-9f0a-1f0f3c1d2e4b",
          contactId: recipient?.id,
          status: "opened",
          sentAt: "2026-11-20T10:00:00.000Z",
          deliveredAt: "2026-11-20T10:00:02.000Z",
          openedAt: "2026-11-20T10:01:00.000Z",
          clickedAt: null,
          error: null,
          createdAt: activity?.created_at.toISOString(),
        },
      ],
      next: activity?.exact,
    });
  });

  const rows = (times: string[]) =>
    times.map((createdAt, n) => ({ messageId: `m-${n}`, createdAt, id: randomUUID() }));

  test("goes on strictly after `since`, to the microsecond, and ends with an empty page", async () => {
    const times = [
      "2026-11-20T10:00:00.000001Z",
      "2026-11-20T10:00:00.000002Z",
      "2026-11-20T10:00:00.000003Z",
    ];
    await seed(database.db, defaultProjectId, rows(times));

    const first = await page("limit=1");
    const second = await page(`limit=1&since=${first.next}`);
    const third = await page(`limit=1&since=${second.next}`);

    expect([first.next, second.next, third.next]).toEqual(times);
    expect(await page(`since=${third.next}`)).toEqual({ data: [], next: null });
  });

  test("a page holds all that share its last time", async () => {
    const same = "2026-11-20T10:00:00.123456Z";
    await seed(database.db, defaultProjectId, rows([same, same, same, "2026-11-20T10:00:01Z"]));

    const first = await page("limit=1");

    expect([first.data.length, first.next]).toEqual([3, same]);
    expect((await page(`limit=1&since=${first.next}`)).data).toHaveLength(1);
  });

  test("filters by campaign and by status", async () => {
    const made = rows(Array(3).fill("2026-11-20T10:00:00Z"));
    await seed(database.db, defaultProjectId, made);
    const campaign = randomUUID();
    await database.db.query(
      "update activity set campaign_id = $1, opened_first_at = now(), current_status = 'delivered' where id = $2",
      [campaign, made[1]?.id],
    );

    const ids = async (query: string) => (await page(query)).data.map(({ id }) => id);
    expect(await ids(`campaignId=${campaign}`)).toEqual([made[1]?.id]);
    expect(await ids("status=opened")).toEqual([made[1]?.id]);
    expect(await ids("status=delivered")).toEqual([]);
    expect((await ids("status=sent")).toSorted()).toEqual([made[0]?.id, made[2]?.id].toSorted());
  });

  test("stops short of a transaction that is still writing", async () => {
    await seed(database.db, defaultProjectId, rows(["2026-11-20T10:00:00Z"]));
    await database.db.transaction(async (tx) => {
      const [{ now } = { now: new Date() }] = await tx.query<{ now: Date }>("select now()");
      await seed(tx, defaultProjectId, [{ messageId: "late", createdAt: now.toISOString() }]);
      // In whole milliseconds the present time may lie before the transaction's.
      const later = new Date(now.getTime() + 1);
      await seed(database.db, defaultProjectId, [{ messageId: "quick", createdAt: later.toISOString() }]);

      expect((await page("")).data).toHaveLength(1);
    });

    expect((await allOf("", 3)).data).toHaveLength(3);
  });

  test("cursorBy=updated tells a send again when something has happened to it", async () => {
    await feed(service, sesEvent("Send"));
    const first = await allOf("cursorBy=updated", 1);
    await feed(
      service,
      sesEvent("Delivery", { after: 2 }),
      sesEvent("Click", { after: 9, detail: { link: "https://a.example/" } }),
    );

    const second = await allOf(`cursorBy=updated&since=${first.next}`, 1);

    expect(first.data.map(({ status }) => status)).toEqual(["sent"]);
    expect(second.data.map(({ status }) => status)).toEqual(["clicked"]);
    await until("no more is listed", async () => {
      const last = await page(`cursorBy=updated&since=${second.next}`);
      return last.next === null;
    });
  });

  test.each([
    ["limit=0", "limit must be a whole number from 1 to 500"],
    ["limit=501", "limit must be a whole number from 1 to 500"],
    ["limit=ten", "limit must be a whole number from 1 to 500"],
    ["since=yesterday", "since must be a time such as"],
    ["since=0000-01-01T00:00:00Z", "since must be a time such as"],
    ["campaignId=7", "campaignId must be a UUID"],
    ["status=lost", "status must be one of queued, sent"],
    ["cursorBy=size", "cursorBy must be created or updated"],
    ["limit=1&limit=2", "limit must be a string, given once"],
  ])("answers %s with 400", async (query, message) => {
    expect(await ask(service, `/api/v1/sends?${query}`)).toEqual([
      400,
      { error: { code: "invalid_request", message: expect.stringContaining(message) } },
    ]);
  });

  test("answers in SmartCQ's shape who may not ask", async () => {
    const { key } = await newKey(database.db, { scopes: ["events:read"] });

    expect(await ask(service, "/api/v1/sends", "nonsense")).toEqual([
      401,
      { error: { code: "unauthorized", message: expect.any(String) } },
    ]);
    expect(await ask(service, "/api/v1/sends", key)).toEqual([
      403,
      { error: { code: "forbidden", message: "This API key lacks the scope sends:read" } },
    ]);
  });

  test("shows a project its own sends alone", async () => {
    const { projectId } = await newKey(database.db, { isOtherProject: true });
    await seed(database.db, projectId, rows(["2026-11-20T10:00:00Z"]));

    expect(await page("")).toEqual({ data: [], next: null });
  });
});
