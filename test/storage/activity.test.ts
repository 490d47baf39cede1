import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { emptyActivity } from "../../src/domain/mail/activity.ts";
import { activityId, type MailFacts } from "../../src/domain/mail/mail-facts.ts";
import { timeOfMessageId } from "../../src/domain/time-text.ts";
import {
  type ActivityRow,
  findActivities,
  hasNoTime,
  insertActivities,
  lockActivities,
  lockInserted,
  updateActivities,
} from "../../src/storage/activity.ts";
import { isRetryable } from "../../src/storage/database-errors.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database?.drop());

const projectId = randomUUID();
const unknown = Object.fromEntries(
  ["tagged_id", "subject", "sender_email", "sender_name", "sender_domain", "email_type", "campaign_id"]
    .concat(["automation_run_id", "template_id", "tenant_name", "tags"])
    .map((name) => [name, null]),
) as Pick<MailFacts, "tags">;

function activity(message_id: string, recipient: string, sent_at: Date | null = null): ActivityRow {
  const facts = { ...unknown, message_id, recipient, recipient_as_sent: recipient, sent_at, is_test: false };
  const whole = facts as unknown as MailFacts;
  return { ...whole, ...emptyActivity, project_id: projectId, id: activityId(projectId, whole) };
}

const ofSes = () => `0100${Date.now().toString(16).padStart(12, "0")}-${randomUUID()}-000000`;

test("the condition of the index of names is what timeOfMessageId decides", async () => {
  const messageIds = [
    ofSes(),
    ofSes().toUpperCase(),
    "custom-1",
    "",
    "0100018bcfe56800",
    "0100018bcfe56800-x",
    "01000000000000ff-x",
    "010000dc6acfabff-x",
    "010000dc6acfac00-x",
    "010003BB2CC3D7FF-x",
    "010003bb2cc3d800-x",
    "0100ffffffffffff-x",
    "g100018bcfe56800-x",
  ];

  const rows = await database.db.query<{ has_no_time: boolean }>(
    `select ${hasNoTime("message_id")} as has_no_time
     from unnest($1::text[]) with ordinality as ids(message_id, place) order by place`,
    [messageIds],
  );

  expect(rows.map(({ has_no_time }) => has_no_time)).toEqual(
    messageIds.map((messageId) => timeOfMessageId(messageId) === null),
  );
});

describe("activities", () => {
  test("are found by their names, whether the messageId is SES's or not, and no others", async () => {
    const [mine, foreign, other] = [
      activity(ofSes(), "a@x.example"),
      activity("custom-2", "a@x.example"),
      activity(ofSes(), "b@x.example"),
    ];
    await insertActivities(database.db, [mine, foreign, other]);

    const found = await findActivities(database.db, [
      mine,
      foreign,
      activity(ofSes(), "a@x.example"),
      activity("custom-3", "a@x.example"),
    ]);

    expect(new Map(found.map((row) => [row.id, row]))).toEqual(
      new Map([mine, foreign].map((row) => [row.id, row])),
    );
  });

  test("are read with the tags and the recipient that were written, and so are rows of earlier versions", async () => {
    const campaign_id = randomUUID();
    const tags = JSON.parse(
      `{"one": ["a"], "two": ["a", "b"], "none": [], "empty": [""], "__proto__": ["c"], "ses:other": ["d"],
        "ses:operation": ["SendEmail"], "ses:from-domain": ["x.example", "y.example"],
        "campaign_id": ["${campaign_id}"], "automation_run_id": ["${campaign_id}"], "template_id": ["no uuid"]}`,
    );
    const colons = JSON.parse('{":op": ["a"], "::op": ["b"], ":": ["c"], "": ["d"], "ses:operation": ["e"]}');
    const row = {
      ...activity(ofSes(), "jane@x.example"),
      tags,
      campaign_id,
      recipient_as_sent: "Jane@X.example",
    };
    const plain = { ...activity(ofSes(), "joe@x.example"), tags: colons };
    const old = { ...activity(ofSes(), "old@x.example"), tags };
    await insertActivities(database.db, [row, plain, old]);
    await database.db.query("update activity set recipient_as_sent = recipient, tags = $2 where id = $1", [
      old.id,
      JSON.stringify(tags),
    ]);
    const found = await findActivities(database.db, [row, plain, old]);
    expect(new Map(found.map((one) => [one.id, one]))).toEqual(
      new Map([row, plain, old].map((one) => [one.id, one])),
    );

    const changed = {
      ...row,
      tags: { ...tags, more: ["d"] },
      recipient_as_sent: row.recipient,
      campaign_id: null,
    };
    await updateActivities(database.db, [changed]);
    expect(await findActivities(database.db, [row])).toEqual([changed]);
  });

  test("are inserted once, although a later notification of a foreign messageId computes another id", async () => {
    const first = activity("custom-4", "a@x.example");
    const later = activity("custom-4", "a@x.example", new Date("2026-11-27T00:00:00Z"));
    expect(later.id).not.toBe(first.id);

    expect(await insertActivities(database.db, [first])).toEqual(new Set([first.id]));
    expect(await insertActivities(database.db, [later, first])).toEqual(new Set());
    expect((await findActivities(database.db, [later])).map(({ id }) => id)).toEqual([first.id]);
  });

  test("of an erased person are not inserted again, and not found by the address", async () => {
    const row = activity(ofSes(), "jane@x.example");
    await insertActivities(database.db, [row]);
    await database.db.query("update activity set recipient = 'erased-1' where id = $1", [row.id]);

    expect(await insertActivities(database.db, [row])).toEqual(new Set());
    expect(await findActivities(database.db, [row])).toEqual([]);
  });

  test("that another transaction has inserted meanwhile are locked without waiting, or the transaction is to be repeated", async () => {
    const row = activity(ofSes(), "a@x.example");
    await database.db.transaction(async (tx) => {
      expect(await lockActivities(tx, [row])).toEqual([]);
      await insertActivities(database.db, [row]);
      expect(await insertActivities(tx, [row])).toEqual(new Set());
      expect(await lockInserted(tx, [row])).toEqual([row]);

      const refused = database.db.transaction((other) => lockInserted(other, [row]));
      await expect(refused).rejects.toSatisfy(isRetryable);
    });
  });
});
