import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { readConfig } from "../../src/config.ts";
import { openStore, type StoreContext } from "../../src/context.ts";
import type { Database } from "../../src/storage/database.ts";
import { listProjects } from "../../src/storage/projects.ts";
import { shopTopic } from "../../src/tools/demo/run-demo.ts";
import { type Ended, run } from "../support/command.ts";
import { dataDirectory, fanmail } from "../support/fanmail-process.ts";
import { until } from "../support/wait.ts";
import { applied, close, type Fresh, rowsOf, startFresh } from "./fresh-service.ts";

/*
 * What the demonstration stored is captured, and replayed into services that know nothing yet.
 */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

let directory: { path: string; remove(): Promise<void> };
let demo: StoreContext;
const demoData = () => join(directory.path, "demo");
const file = (name: string) => join(directory.path, name);
const capture = (...args: string[]) => run(["capture", ...args], { DATA_DIR: demoData() });

beforeAll(async () => {
  directory = await dataDirectory();
  const { code, stderr } = await run(["demo", "--exit"], { DATA_DIR: directory.path, PORT: "0" });
  expect(code, stderr).toBe(0);
  // The database stays up for all commands.
  demo = await openStore(readConfig({ DATA_DIR: demoData(), LOG_LEVEL: "silent" }));
});
afterAll(async () => {
  await demo?.close();
  await directory?.remove();
});

type Envelope = Record<string, string> & { Message: string; Timestamp: string };
const linesOf = (text: string) => text.split("\n").filter((line) => line !== "");
const envelopesOf = (text: string): Envelope[] => linesOf(text).map((line) => JSON.parse(line));

const replay = ({ to, environment }: Fresh, ...args: string[]) =>
  run(["replay", ...args, "--to", to, "--json"], environment);

function json({ code, stdout, stderr }: Ended): unknown {
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

describe("a capture of the demonstration, replayed into a service that knows nothing yet", () => {
  let fresh: Fresh;
  let captured: Ended;

  beforeAll(async () => {
    captured = await capture("--out", file("week.ndjson.gz"), "--json");
    fresh = await startFresh(demo, demoData());
  });
  afterAll(() => close(fresh));

  test("holds every notification as it is stored, in the order in which SNS published them", async () => {
    expect(json(captured)).toEqual({
      captured: 701,
      read: 701,
      first: expect.stringMatching(/^20/),
      last: expect.stringMatching(/^2026-11-/),
      out: file("week.ndjson.gz"),
    });
    const lines = linesOf(gunzipSync(await readFile(file("week.ndjson.gz"))).toString());
    const stored = await demo.db.query<{ body: string }>("select body from notifications");
    expect(lines.toSorted()).toEqual(stored.map(({ body }) => body).toSorted());
    const times = lines.map((line) => (JSON.parse(line) as Envelope).Timestamp);
    expect(times).toEqual(times.toSorted());
    expect((await stat(file("week.ndjson.gz"))).mode & 0o077).toBe(0);
  });

  test("a dry run tells what is new, half of it being there already", async () => {
    const dryRun = () => replay(fresh, file("week.ndjson.gz"), "--dry-run");
    expect(json(await dryRun())).toMatchObject({ read: 701, new: 701, known: 0, repeated: 0 });

    const half = await replay(fresh, file("week.ndjson.gz"), "--limit", "350");
    expect(json(half)).toMatchObject({ read: 350, stored: 350, failed: {} });

    expect(json(await dryRun())).toMatchObject({
      ...{ read: 701, new: 351, known: 350, repeated: 0, signed_here: 0, ignored: 2, unreadable: [] },
      ...{ topics: { [shopTopic]: 701 }, topics_not_allowed: [], refused: {} },
      quarantined: { "Neither eventType nor notificationType is there: not an SES event": 1 },
      first: JSON.parse(captured.stdout).first,
      last: JSON.parse(captured.stdout).last,
    });
    expect(await fresh.database.db.query("select 1 from notifications")).toHaveLength(350);
  });

  test("makes the same emails and events, column by column", async () => {
    const ended = await replay(fresh, file("week.ndjson.gz"));
    expect(json(ended)).toMatchObject({ read: 701, stored: 351, duplicates: 350, failed: {} });
    await applied(fresh);

    for (const table of ["activity", "events"] as const) {
      const [there, here] = [await rowsOf(demo.db, table), await rowsOf(fresh.database.db, table)];
      expect(here.length).toBeGreaterThan(200);
      expect(here).toEqual(there);
    }
  });
});

describe("a pseudonymised capture", () => {
  const args = ["--pseudonymise", "--secret", "a secret of the test"];
  let fresh: Fresh;
  let output: string;

  beforeAll(async () => {
    output = (await capture(...args)).stdout;
    expect((await capture(...args, "--out", file("nobody.ndjson"))).code).toBe(0);
    fresh = await startFresh(demo, file("other"));
  });
  afterAll(() => close(fresh));

  test("holds none of the addresses of the journal, and is the same each time with a secret", async () => {
    expect(output).toBe(await readFile(file("nobody.ndjson"), "utf8"));
    expect(envelopesOf(output)).toHaveLength(701);
    const people = await demo.db.query<{ address: string }>(
      `select recipient as address from activity where not is_test
       union select recipient_as_sent from activity where not is_test
       union select sender_email from activity union select sender_name from activity
       union select subject from activity`,
    );
    expect(people.length).toBeGreaterThan(50);
    const lower = output.toLowerCase();
    for (const { address } of people.filter((one) => one.address !== null)) {
      expect(lower).not.toContain(address.toLowerCase());
      expect(lower).not.toContain(encodeURIComponent(address).toLowerCase());
    }
    expect((await capture("--pseudonymise")).stdout).not.toBe(output);
  });

  test("is signed by the replay, and comes to as many emails with the same statuses", async () => {
    expect(json(await replay(fresh, file("nobody.ndjson")))).toMatchObject({ stored: 701, failed: {} });
    await applied(fresh);

    const outline = (db: Database) =>
      db.query(
        `select current_status, is_test, recipient_certain, email_type, open_count, click_count, count(*)::int
         from activity group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6`,
      );
    const threads = (db: Database) =>
      db.query(
        `select message_id, array_agg(distinct type || ' ' || occurred_at || ' ' || coalesce(discarded, ''))
         from activity join events on events.project_id = activity.project_id and owner_id = activity.id
         group by 1 order by 1`,
      );
    expect(await outline(fresh.database.db)).toEqual(await outline(demo.db));
    expect(await threads(fresh.database.db)).toEqual(await threads(demo.db));
  });
});

describe("a part of the journal", () => {
  const typesOf = (output: string) =>
    envelopesOf(output).map(({ Message }) => {
      const { eventType, notificationType } = JSON.parse(Message);
      return eventType ?? notificationType;
    });

  test("of some events", async () => {
    const { stdout } = await capture("--type", "open,click");
    expect(new Set(typesOf(stdout))).toEqual(new Set(["Open", "Click"]));
    expect((await capture("--type", "opened,clicked")).stdout).toBe(stdout);
    const all = typesOf((await capture()).stdout.replaceAll(/"Message":"[^{].*?"/g, '"Message":"{}"'));
    expect(typesOf(stdout)).toEqual(all.filter((type) => type === "Open" || type === "Click"));
  });

  test("of a time: from then on, and before then; a day begins in UTC", async () => {
    const times = async (...args: string[]) =>
      envelopesOf((await capture(...args)).stdout).map(({ Timestamp }) => Timestamp);
    const all = await times();
    expect(await times("--from", "2026-11-11", "--to", "2026-11-12T12:00Z")).toEqual(
      all.filter((time) => time >= "2026-11-11" && time < "2026-11-12T12:00"),
    );
    const middle = all[350] ?? "";
    const [before, after] = [await times("--to", middle), await times("--from", middle)];
    expect([...before, ...after]).toEqual(all);
    expect(after[0]).toBe(middle);
  });

  test("that is quarantined, of a topic, of a project", async () => {
    const count = async (...args: string[]) => envelopesOf((await capture(...args)).stdout).length;
    expect(await count("--quarantined")).toBe(1);
    expect(await count("--topic", shopTopic, "--project", "Example Shop")).toBe(701);
    expect(await count("--topic", `${shopTopic}-2`)).toBe(0);
    expect(await count("--project", "default")).toBe(0);
  });

  test("a summary as JSON is told beside it, and in words after a file", async () => {
    const { stdout, stderr } = await capture("--quarantined", "--json");
    expect(envelopesOf(stdout)).toHaveLength(1);
    expect(JSON.parse(stderr)).toMatchObject({ captured: 1, read: 1, out: null });
    const words = await capture("--out", file("one.ndjson"), "--quarantined");
    expect(words).toEqual({
      code: 0,
      stdout: expect.stringMatching(
        /^Captured 1 of 1 notifications, published from 20\S+Z to 20\S+Z, in \S+\n$/,
      ),
      stderr: "",
    });
  });
});

test("bodies without a signature, of queues and over several lines are captured, and replayed as they are", async () => {
  const fresh = await startFresh(demo, file("third"));
  const [project] = (await listProjects(demo.db)).filter(({ name }) => name === "Example Shop");
  const queue = "arn:aws:sqs:us-east-1:123456789012:queue";
  const printed = {
    Type: "Notification",
    MessageId: "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324",
    TopicArn: queue,
    Timestamp: "2031-01-02T03:04:05.678Z",
    Message: '{"eventType":"Send",\n "mail":{"messageId":"printed","destination":["a@b.test"]}}',
  };
  // Published before it, though its name comes after.
  const earlier = {
    ...printed,
    MessageId: "fffffff2-fdea-4c2c-8f9d-bdfb0c7bf324",
    Timestamp: "2031-01-02T03:04:05.677Z",
  };
  await demo.db.query(
    `create table notifications_2031_01_02 partition of notifications
     for values from ('2031-01-02') to ('2031-01-03')`,
  );
  for (const one of [printed, earlier]) {
    await demo.db.query(
      `insert into notifications (project_id, topic_id, sns_message_id, sns_timestamp, batch_id, body)
       values ($1, $1, $2, $3, $1, $4)`,
      [project!.id, one.MessageId, one.Timestamp, JSON.stringify(one, null, "\r\n ")],
    );
  }
  try {
    const { stdout } = await capture("--from", "2031-01-01", "--topic", queue);
    expect(envelopesOf(stdout)).toEqual([earlier, printed]);

    const args = ["replay", "-", "--to", fresh.to, "--topic", shopTopic, "--json"];
    expect(json(await run(args, fresh.environment, stdout))).toMatchObject({ stored: 2, failed: {} });
    const stored = await fresh.database.db.query<{ body: string }>(
      "select body from notifications order by sns_timestamp",
    );
    expect(stored.map(({ body }) => JSON.parse(body))).toMatchObject([
      { ...earlier, TopicArn: shopTopic },
      { ...printed, TopicArn: shopTopic },
    ]);
  } finally {
    await demo.db.query("drop table notifications_2031_01_02");
    await close(fresh);
  }
});

describe("what cannot be captured", () => {
  test("a capture that is stopped leaves no file", async () => {
    const out = file("stopped.ndjson");
    // Nothing can be read while the table is locked, so that it is stopped in the middle.
    const { ended } = await demo.db.transaction(async (tx) => {
      await tx.query("lock table notifications in access exclusive mode");
      const started = fanmail(["capture", "--out", out], { DATA_DIR: demoData() });
      await until("it has begun", async () =>
        (await readdir(directory.path)).some((name) => name.endsWith(".part")),
      );
      started.child.kill("SIGINT");
      return started;
    });
    expect(await ended).toEqual({
      code: 1,
      stdout: "",
      stderr: `fanmail capture: stopped before the end; ${out} was not written\n`,
    });
    expect((await readdir(directory.path)).filter((name) => name.startsWith("stopped"))).toEqual([]);
  });
  test.each([
    [["--from", "yesterday"], "--from must be a day or a time in UTC such as"],
    [["--to", "2026-02-30"], "--to must be a day or a time in UTC such as"],
    [["--type", "open,opens"], "Unknown event types: opens. There are: send, delivered"],
    [["--topic", "events"], '--topic: "events" is not the ARN of an SNS topic'],
    [["--secret", "x"], "--secret and --keep-subjects go with --pseudonymise"],
    [["--pseudonymise", "--secret", "short"], "--secret must have at least 16 characters"],
    [["--project", "nobody"], 'There is no project "nobody"'],
    [["everything"], "Unknown argument: everything"],
    [["--out", "/dev/null"], "/dev/null is there already and is not a file"],
    [["--out", "no/such/directory.ndjson"], "Cannot write no/such/directory.ndjson"],
  ])("%s", async (args, message) => {
    const { code, stdout, stderr } = await capture(...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(message);
  });
});
