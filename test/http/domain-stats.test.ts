import { randomUUID } from "node:crypto";
import { expect } from "vitest";
import type { Database } from "../../src/storage/database.ts";
import { newProject, projectTest, type TestProject } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { ask } from "./api.ts";

const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "sender",
  { scope: "file", auto: true },
  ({ service }) => newSender(service),
);

async function newSender(service: TestService): Promise<TestProject> {
  const project = await newProject(service);
  const at = "2026-11-01T10:00:00Z";
  const complained = {
    current_status: "complained",
    delivered_at: at,
    complained_at: at,
    recipient_certain: false,
  };
  const some = (count: number, fields: Partial<Row>) => Array<Partial<Row>>(count).fill(fields);
  await write(service.context.db, project.id, [
    ...some(3, { current_status: "delivered", delivered_at: at }),
    { current_status: "delivered", delivered_at: at, opened_first_at: at, clicked_first_at: at },
    { current_status: "complained", delivered_at: at, complained_at: at, opened_first_at: at },
    { current_status: "bounced_hard", bounced_at: at },
    // Of one email that may have been complained about by either, and one that an earlier version left queued.
    ...some(2, { ...complained, message_id: "to two", sender_domain: "three.example" }),
    { current_status: "queued", opened_first_at: at, sender_domain: "four.example" },
    { current_status: "bounced_soft", bounced_at: at },
    { current_status: "failed" },
    { current_status: "suppressed" },
    { current_status: "delivered", delivered_at: at, is_test: true },
    { sender_domain: "two.example", current_status: "delivered", delivered_at: at },
    { sender_domain: null, current_status: "failed" },
    { sender_domain: "old.example", created_at: new Date(Date.now() - 31 * 86_400_000).toISOString() },
  ]);
  return project;
}

type Row = {
  message_id: string;
  recipient_certain: boolean;
  sender_domain: string | null;
  current_status: string;
  delivered_at: string | null;
  bounced_at: string | null;
  complained_at: string | null;
  opened_first_at: string | null;
  clicked_first_at: string | null;
  is_test: boolean;
  created_at: string;
};
const usual: Omit<Row, "message_id"> = {
  sender_domain: "one.example",
  current_status: "sent",
  delivered_at: null,
  bounced_at: null,
  complained_at: null,
  opened_first_at: null,
  clicked_first_at: null,
  is_test: false,
  recipient_certain: true,
  created_at: new Date().toISOString(),
};
async function write(db: Database, projectId: string, rows: Partial<Row>[]): Promise<void> {
  for (const row of rows) {
    const fields = { message_id: randomUUID(), ...usual, ...row };
    const names = Object.keys(fields);
    await db.query(
      `insert into activity (project_id, id, recipient, recipient_as_sent, open_count, click_count,
         ${names.join(", ")})
       values ($1, $2, $3, 'jane@example.com', 0, 0, ${names.map((_, n) => `$${n + 4}`).join(", ")})`,
      [projectId, randomUUID(), `${randomUUID()}@example.com`, ...Object.values(fields)],
    );
  }
}

const nothing = {
  total_sent: 0,
  total_delivered: 0,
  hard_bounced: 0,
  soft_bounced: 0,
  complained: 0,
  unique_opens: 0,
  unique_clicks: 0,
  hard_bounce_rate: 0,
};

test("counts by the sender's domain over the last 30 days, without tests", async ({ sender }) => {
  expect(await ask(sender, "/v1/domain-stats")).toEqual([
    200,
    {
      success: true,
      since: expect.stringMatching(/Z$/),
      until: expect.stringMatching(/Z$/),
      data: [
        {
          domain: "one.example",
          total_sent: 7,
          total_delivered: 5,
          hard_bounced: 1,
          soft_bounced: 1,
          complained: 1,
          unique_opens: 2,
          unique_clicks: 1,
          hard_bounce_rate: 14.29,
        },
        { ...nothing, domain: "three.example", total_sent: 2, total_delivered: 2, complained: 1 },
        { ...nothing, domain: "four.example", total_sent: 1, unique_opens: 1 },
        { ...nothing, domain: "two.example", total_sent: 1, total_delivered: 1 },
        { ...nothing, domain: null },
      ],
    },
  ]);
});

test("counts within the times that are given", async ({ sender }) => {
  const [, body] = await ask(
    sender,
    `/v1/domain-stats?since=2020-01-01&until=${new Date(Date.now() - 86_400_000).toISOString()}`,
  );

  expect(body).toMatchObject({
    since: "2020-01-01T00:00:00.000Z",
    data: [{ domain: "old.example", total_sent: 1 }],
  });
});

test("has nothing for another project, and 400 for an invalid time", async ({ project }) => {
  expect(await ask(project, "/v1/domain-stats")).toMatchObject([200, { data: [] }]);
  expect(await ask(project, "/v1/domain-stats?since=soon")).toEqual([
    400,
    { error: expect.stringContaining("since must be a time") },
  ]);
});
