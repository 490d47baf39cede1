import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { run } from "../support/command.ts";
import { asMessage, sesEvent, timeAfter } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import {
  database,
  directory,
  envelope,
  environment,
  foreignTopic,
  json,
  lines,
  ownTopic,
  replay,
  service,
  setUp,
  stored,
} from "./replay-receiver.ts";

setUp();

describe("--dry-run", () => {
  const capture = () => [
    service.signer.notification(asMessage(sesEvent("Send", { messageId: "dry-1" })), {
      TopicArn: foreignTopic,
    }),
    envelope("dry-1"),
    sesEvent("Bounce", { messageId: "dry-2", to: ["a@example.com", "b@example.com"], after: 60 }),
    sesEvent("Bounce", { messageId: "dry-2", to: ["a@example.com", "b@example.com"], after: 60 }),
    { notificationType: "AmazonSnsSubscriptionSucceeded", message: "dry" },
    { neither: "nor" },
    { Type: "Notification", MessageId: "x", Message: "{}", Signature: "c2ln" },
  ];
  const told = {
    ...{ read: 7, repeated: 1, ignored: 1, emails: 2, recipients: 3, signed_here: 5, left_out: 0 },
    ...{ events: { send: 2, bounce: 2 }, topics: { [foreignTopic]: 1, [testTopic]: 1, [ownTopic]: 4 } },
    quarantined: { "Neither eventType nor notificationType is there: not an SES event": 1 },
    refused: { "Not an SNS message: MessageId is not a UUID": 1 },
    unreadable: ["standard input:8"],
    first: timeAfter(5),
    last: "2026-11-20T12:00:00.000Z",
  };

  test("tells what is new, where the journal can be read, and posts nothing", async () => {
    const text = `${lines(...capture())}nonsense`;
    const withDatabase = {
      ...environment(),
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
    };
    const dryRun = () => run(["replay", "-", "--dry-run", "--json"], withDatabase, text);
    const { ended, bodies } = await stored(dryRun);
    expect(json(ended)).toEqual([1, { ...told, new: 5, known: 0, topics_not_allowed: [foreignTopic] }]);
    expect(bodies).toEqual([]);

    await replay(lines(...capture().slice(1, 3)));
    // A MessageId by chance is another one each time.
    expect(json(await dryRun())).toMatchObject([1, { new: 4, known: 1 }]);
  });

  test("works without a database, says so, and makes none", async () => {
    const data = join(directory.path, "no-database");
    const args = ["replay", "-", "--dry-run"];
    const ended = await run([...args, "--json"], { DATA_DIR: data }, `${lines(...capture())}nonsense`);
    expect(json(ended)).toEqual([
      1,
      {
        ...told,
        ...{ new: null, known: null, topics_not_allowed: [] },
        journal_unreachable: `there is no database in ${data}, and DATABASE_URL is not set`,
      },
    ]);
    expect((await readdir(data)).filter((name) => !name.startsWith("sns-signing"))).toEqual([]);

    const away = {
      DATABASE_URL: "postgres://me:secret@127.0.0.1:1/nothing",
      ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
    };
    const { stdout } = await run(args, { DATA_DIR: data, ...away }, lines(sesEvent("Send")));
    expect(stdout).toMatch(/^new +unknown: .*ECONNREFUSED/m);
    expect(stdout).not.toContain("secret");
  });

  test("tells in words", async () => {
    const withDatabase = {
      ...environment(),
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: Buffer.alloc(32).toString("base64"),
    };
    const foreign = service.signer.notification(asMessage(sesEvent("Send")), { TopicArn: foreignTopic });
    const { code, stdout } = await run(["replay", "-", "--dry-run"], withDatabase, lines(foreign));
    expect(code).toBe(1);
    expect(stdout.split("\n")).toEqual([
      "read                     1",
      "new                      1",
      "in the journal           0",
      "in the capture twice     0",
      "about                    1  send",
      "about no event           0",
      "emails                   1",
      "recipients               1",
      "published                2026-11-20T12:00:00.000Z to 2026-11-20T12:00:00.000Z",
      `of the topic             1  ${foreignTopic}  is not allow-listed; allow it with: npx fanmail topics add ${foreignTopic}`,
      "signed by the local key  0",
      "",
    ]);
  });
});
