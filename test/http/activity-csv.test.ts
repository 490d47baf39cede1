import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { ask, seed } from "./api.ts";

const test = projectTest();

async function csv({ get }: TestProject, query = ""): Promise<string[]> {
  const answer = await get(`/v1/activity.csv?${query}`);
  expect([
    answer.status,
    answer.headers.get("content-type"),
    answer.headers.get("content-disposition"),
  ]).toEqual([200, "text/csv; charset=utf-8", "attachment; filename=activity.csv"]);
  const text = await answer.text();
  expect(text.endsWith("\n")).toBe(true);
  return text.slice(0, -1).split("\n");
}
const head =
  "id,created_at,email_type,campaign_id,automation_run_id,template_id,message_id,subject,sender_email,sender_name,recipient_primary,current_status,sent_at,delivered_at,bounced_at,complained_at,opened_first_at,clicked_first_at,opened_any_first_at,clicked_any_first_at,open_count,click_count,recipient_certain,is_test,tags,tenant_name";

test("holds every field of a row, and quotes what needs it", async ({ project }) => {
  await project.apply(
    sesEvent("Delivery", {
      after: 2,
      mail: {
        tags: { email_type: ["receipt"] },
        commonHeaders: { from: ['"Shop, \\"The\\"" <shop@example.org>'], subject: "=1+1" },
      },
    }),
  );
  const [row] = await project.select<{ id: string; created_at: Date }>("select id, created_at from activity");

  expect(await csv(project)).toEqual([
    head,
    [
      row?.id,
      row?.created_at.toISOString(),
      "receipt,,,,message-1,'=1+1,shop@example.org",
      '"Shop, ""The"""',
      "jane@example.com,delivered,2026-11-20T10:00:00.000Z,2026-11-20T10:00:02.000Z,,,,,,,0,0,true,false",
      '"{""email_type"":[""receipt""]}",',
    ].join(","),
  ]);
});

test("without rows holds the column names", async ({ project }) => {
  expect(await csv(project)).toEqual([head]);
});

test("takes the filters of the list, and shows a project its own rows alone", async ({
  database,
  project,
  otherProject,
}) => {
  const createdAt = "2026-11-20T10:00:00Z";
  await seed(database.db, otherProject.id, [{ messageId: "theirs", createdAt }]);
  await seed(database.db, project.id, [
    { messageId: "ours", createdAt },
    { messageId: "failed", createdAt, status: "failed" },
  ]);

  expect((await csv(project, "status=failed")).slice(1).map((line) => line.split(",")[6])).toEqual([
    "failed",
  ]);
  expect((await csv(otherProject)).slice(1).map((line) => line.split(",")[6])).toEqual(["theirs"]);
});

test("walks any number of rows, each once, the newest first, also while more are written", async ({
  database,
  project,
}) => {
  const count = 5_001;
  const rows = Array.from({ length: count }, (_, n) => ({
    id: randomUUID(),
    messageId: `m-${n}`,
    createdAt: new Date(1_700_000_000_000 + Math.floor(n / 7)).toISOString(),
  }));
  await seed(database.db, project.id, rows);

  const [lines] = await Promise.all([
    csv(project, "until=2026-01-01"),
    seed(database.db, project.id, [{ messageId: "new", createdAt: new Date().toISOString() }]),
  ]);

  const listed = lines.slice(1).map((line) => line.split(","));
  expect(listed).toHaveLength(count);
  expect(new Set(listed.map(([id]) => id))).toEqual(new Set(rows.map(({ id }) => id)));
  const times = listed.map(([, createdAt]) => createdAt ?? "");
  expect(times).toEqual(times.toSorted().toReversed());
});

test("answers a wrong filter as JSON with 400", async ({ project }) => {
  expect(await ask(project, "/v1/activity.csv?status=lost")).toEqual([
    400,
    { error: expect.stringContaining("status must be one of") },
  ]);
});
