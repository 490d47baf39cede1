import { expect } from "vitest";
import { triggerTopic } from "../../src/domain/mail/sns-message.ts";
import { isSilent } from "../../src/domain/topic-silence.ts";
import type { Logger } from "../../src/logger.ts";
import { createTopicHearing } from "../../src/receive/journal-writer.ts";
import { listHeardTopics, writeHearing } from "../../src/storage/topics.ts";
import { createTopicWatch } from "../../workers/watch-topics.ts";
import { projectTest } from "../support/project-test.ts";
import { startTestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "topic",
  async ({ database }) => {
    await database.db.query(
      "update topics set heard_since = null, last_notification_at = null, usual_gap_seconds = null",
    );
    return {
      async read() {
        const [topic] = await listHeardTopics(database.db);
        if (topic?.arn !== testTopic) throw new Error("There is no topic");
        return topic;
      },
      /** It has been heard for a week, and last so many minutes ago. */
      async lastHeard(minutes: number): Promise<void> {
        await database.db.query(
          `update topics set heard_since = now() - interval '7 days', usual_gap_seconds = 60,
           last_notification_at = date_trunc('milliseconds', now()) - $1 * interval '1 minute'`,
          [minutes],
        );
      },
    };
  },
);

type Line = [level: string, message: string, fields: object];

/** Keeps what is logged. */
function keepingLog(): { lines: Line[]; log: Logger } {
  const lines: Line[] = [];
  const keep = (level: string) => (fields: object, message: string) =>
    void lines.push([level, message, fields]);
  return {
    lines,
    log: { error: keep("error"), warn: keep("warn"), info: keep("info"), debug: keep("debug") },
  };
}

test("what is new notes when its topic spoke; a repeat does not", async ({ service, database, topic }) => {
  const receiver = await startTestService({
    databaseUrl: database.url,
    roles: { receiver: true, workers: false },
    signer: service.signer,
  });
  const message = service.signer.notification(asMessage(sesEvent("Send")));
  await receiver.ingest(message);
  await until("it is noted", async () => (await topic.read()).last_notification_at !== null);
  const { heard_since, last_notification_at } = await topic.read();
  expect(heard_since).toEqual(last_notification_at);

  await topic.lastHeard(30);
  const before = await topic.read();
  const other = await startTestService({
    databaseUrl: database.url,
    roles: { receiver: true, workers: false },
    signer: service.signer,
  });
  await other.ingest(message);
  // What was under way is finished by then.
  await other.close();
  await receiver.close();
  expect((await topic.read()).last_notification_at).toEqual(before.last_notification_at);
});

test("an answer does not wait for the note", async ({ service, database }) => {
  await database.db.transaction(async (tx) => {
    await tx.query("select from topics for update");
    const answer = await service.ingest(service.signer.notification(asMessage(sesEvent("Send"))));
    expect(await answer.json()).toEqual({ status: "stored" });
  });
});

test("a process notes a topic every ten seconds at most", async ({ database, topic }) => {
  let now = new Date("2026-11-25T12:00:00Z");
  const hear = createTopicHearing(database.db, () => now, keepingLog().log);
  const { id } = await topic.read();
  await hear([id]);
  await topic.lastHeard(30);
  now = new Date("2026-11-25T12:00:09.999Z");
  await hear([id]);
  expect((await topic.read()).usual_gap_seconds).toBe(60);
  now = new Date("2026-11-25T12:00:10Z");
  await hear([id]);
  expect((await topic.read()).usual_gap_seconds).toBeCloseTo(1800, -1);
});

test("receivers that note the same pause at the same time learn it once", async ({ database, topic }) => {
  await topic.lastHeard(30);
  const { id, now } = await topic.read();
  const receivers = Array.from({ length: 5 }, () =>
    createTopicHearing(database.db, () => new Date(), keepingLog().log),
  );

  await Promise.all(receivers.map((hear) => hear([id])));

  const heard = await topic.read();
  expect(heard.usual_gap_seconds).toBeCloseTo(1800, -1);
  expect(heard.last_notification_at?.getTime()).toBeGreaterThanOrEqual(now.getTime());
});

test("what another process has noted meanwhile stands", async ({ database, topic }) => {
  await topic.lastHeard(30);
  const known = await topic.read();
  const heard = { ...known, usual_gap_seconds: 1800, last_notification_at: known.now };
  await writeHearing(database.db, [{ id: known.id, known, heard }]);
  await writeHearing(database.db, [{ id: known.id, known, heard: { ...heard, usual_gap_seconds: 1 } }]);
  expect((await topic.read()).usual_gap_seconds).toBe(1800);
});

test("a note that cannot be written is warned of", async ({ database }) => {
  const { lines, log } = keepingLog();
  const away = { ...database.db, query: () => Promise.reject(new Error("away")) };
  await createTopicHearing(away, () => new Date(), log)(["00000000-0000-8000-8000-000000000001"]);
  expect(lines).toEqual([["warn", "topics not noted", { cause: "away" }]]);
});

test("a worker tells once that a topic is silent, and once that it speaks again", async ({
  service,
  topic,
}) => {
  const { lines, log } = keepingLog();
  const watch = createTopicWatch({ db: service.context.db, log });

  await topic.lastHeard(14);
  await watch();
  expect(lines).toEqual([]);

  await topic.lastHeard(20);
  await watch();
  await watch();
  expect(lines).toEqual([["warn", "topic silent", { topic: testTopic, seconds: expect.any(Number) }]]);
  expect(lines[0]?.[2]).toHaveProperty("seconds", expect.closeTo(1200, -1));

  await topic.lastHeard(0);
  await watch();
  await watch();
  expect(lines.slice(1)).toEqual([["info", "topic speaks again", { topic: testTopic }]]);
});

test("the topic of fanmail trigger is never silent, however long nobody triggers anything", async ({
  database,
  topic,
}) => {
  const { id, project_id } = await topic.read();
  await database.db.query("update topics set arn = $1 where id = $2", [triggerTopic, id]);
  try {
    await createTopicHearing(database.db, () => new Date(), keepingLog().log)([id]);
    await database.db.query("update topics set last_notification_at = now() - interval '3 days'");
    await createTopicHearing(database.db, () => new Date(), keepingLog().log)([id]);
    await database.db.query(
      `update topics set heard_since = heard_since - interval '60 days',
         last_notification_at = now() - interval '30 days'`,
    );

    const [heard] = await listHeardTopics(database.db, [id]);
    expect([heard?.project_id, heard && isSilent(heard, heard.now)]).toEqual([project_id, false]);
  } finally {
    await database.db.query("update topics set arn = $1 where id = $2", [testTopic, id]);
  }
});
