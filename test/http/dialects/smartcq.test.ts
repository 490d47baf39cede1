import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { projectTest, type TestProject } from "../../support/project-test.ts";
import { sesEvent } from "../../support/ses.ts";
import { until } from "../../support/wait.ts";
import { ask, seed } from "../api.ts";

const test = projectTest();

type Sent = { id: string; status: string; createdAt: string };
type Page = { data: Sent[]; next: string | null };
async function page(project: TestProject, query: string): Promise<Page> {
  const [status, body] = await ask(project, `/api/v1/sends?${query}`);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as Page;
}
/** All sends; waits out other transactions of the service, before which a page stops. */
async function allOf(project: TestProject, query: string, count: number): Promise<Page> {
  await until(`${count} sends are listed`, async () => (await page(project, query)).data.length >= count);
  return page(project, query);
}

describe("GET /api/v1/sends", () => {
  test("shows a send as SmartCQ does", async ({ project }) => {
    await project.apply(
      sesEvent("Send", { mail: { tags: { campaign_id: ["7b9f6f3e-6c1d-4a57-9f0a-1f0f3c1d2e4b"] } } }),
      sesEvent("Delivery", { after: 2 }),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mail", ipAddress: "192.0.2.1" } }),
    );
    const [activity] = await project.select<{ id: string; created_at: Date; exact: string }>(
      `select id, created_at, to_char(created_at, 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as exact from activity`,
    );
    const [recipient] = await project.select<{ id: string }>("select id from recipients");

    expect(await allOf(project, "", 1)).toEqual({
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

  test("goes on strictly after `since`, to the microsecond, and ends with an empty page", async ({
    project,
    database,
  }) => {
    const times = [
      "2026-11-20T10:00:00.000001Z",
      "2026-11-20T10:00:00.000002Z",
      "2026-11-20T10:00:00.000003Z",
    ];
    await seed(database.db, project.id, rows(times));

    const first = await page(project, "limit=1");
    const second = await page(project, `limit=1&since=${first.next}`);
    const third = await page(project, `limit=1&since=${second.next}`);

    expect([first.next, second.next, third.next]).toEqual(times);
    expect(await page(project, `since=${third.next}`)).toEqual({ data: [], next: null });
  });

  test("a page holds all that share its last time", async ({ project, database }) => {
    const same = "2026-11-20T10:00:00.123456Z";
    await seed(database.db, project.id, rows([same, same, same, "2026-11-20T10:00:01Z"]));

    const first = await page(project, "limit=1");

    expect([first.data.length, first.next]).toEqual([3, same]);
    expect((await page(project, `limit=1&since=${first.next}`)).data).toHaveLength(1);
  });

  test("filters by campaign and by status", async ({ project, database }) => {
    const made = rows(Array(3).fill("2026-11-20T10:00:00Z"));
    await seed(database.db, project.id, made);
    const campaign = randomUUID();
    await database.db.query(
      "update activity set campaign_id = $1, opened_first_at = now(), current_status = 'delivered' where id = $2",
      [campaign, made[1]?.id],
    );

    const ids = async (query: string) => (await page(project, query)).data.map(({ id }) => id);
    expect(await ids(`campaignId=${campaign}`)).toEqual([made[1]?.id]);
    expect(await ids("status=opened")).toEqual([made[1]?.id]);
    expect(await ids("status=delivered")).toEqual([]);
    expect((await ids("status=sent")).toSorted()).toEqual([made[0]?.id, made[2]?.id].toSorted());
  });

  test("stops short of a transaction that is still writing", async ({ project, database }) => {
    await seed(database.db, project.id, rows(["2026-11-20T10:00:00Z"]));
    await database.db.transaction(async (tx) => {
      const [{ now } = { now: new Date() }] = await tx.query<{ now: Date }>("select now()");
      await seed(tx, project.id, [{ messageId: "late", createdAt: now.toISOString() }]);
      // In whole milliseconds the present time may lie before the transaction's.
      const later = new Date(now.getTime() + 1);
      await seed(database.db, project.id, [{ messageId: "quick", createdAt: later.toISOString() }]);

      expect((await page(project, "")).data).toHaveLength(1);
    });

    expect((await allOf(project, "", 3)).data).toHaveLength(3);
  });

  test("cursorBy=updated lists a send again when it has changed", async ({ project }) => {
    await project.apply(sesEvent("Send"));
    const first = await allOf(project, "cursorBy=updated", 1);
    await project.apply(
      sesEvent("Delivery", { after: 2 }),
      sesEvent("Click", { after: 9, detail: { link: "https://a.example/" } }),
    );

    const second = await allOf(project, `cursorBy=updated&since=${first.next}`, 1);

    expect(first.data.map(({ status }) => status)).toEqual(["sent"]);
    expect(second.data.map(({ status }) => status)).toEqual(["clicked"]);
    await until("no more is listed", async () => {
      const last = await page(project, `cursorBy=updated&since=${second.next}`);
      return last.next === null;
    });
  });

  test.for<[string, string]>([
    ["limit=0", "limit must be a whole number from 1 to 500"],
    ["limit=501", "limit must be a whole number from 1 to 500"],
    ["limit=ten", "limit must be a whole number from 1 to 500"],
    ["since=yesterday", "since must be a time such as"],
    ["since=0000-01-01T00:00:00Z", "since must be a time such as"],
    ["campaignId=7", "campaignId must be a UUID"],
    ["status=lost", "status must be one of queued, sent"],
    ["cursorBy=size", "cursorBy must be created or updated"],
    ["limit=1&limit=2", "limit must be a string, given once"],
  ])("answers %s with 400", async ([query, message], { project }) => {
    expect(await ask(project, `/api/v1/sends?${query}`)).toEqual([
      400,
      { error: { code: "invalid_request", message: expect.stringContaining(message) } },
    ]);
  });

  test("answers an unauthorized request in SmartCQ's shape", async ({ project }) => {
    const key = await project.keyWith("events:read");

    expect(await ask(project, "/api/v1/sends", "nonsense")).toEqual([
      401,
      { error: { code: "unauthorized", message: expect.any(String) } },
    ]);
    expect(await ask(project, "/api/v1/sends", key)).toEqual([
      403,
      { error: { code: "forbidden", message: "This API key lacks the scope sends:read" } },
    ]);
  });

  test("shows a project its own sends alone", async ({ project, otherProject, database }) => {
    await seed(database.db, otherProject.id, rows(["2026-11-20T10:00:00Z"]));

    expect(await page(project, "")).toEqual({ data: [], next: null });
  });
});
