import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { projectTest } from "../support/project-test.ts";
import { startTestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

/*
 * Raw message delivery over HTTP: what SNS posts then has no envelope and no signature.
 */

const previousToken = "raw_token_before_it_0123456789abcdef";
const token = "raw_token_of_the_test_0123456789abcdef";
const test = projectTest({ environment: { SNS_RAW_TOKEN: `${token},${previousToken}` } })
  .extend("rawUrl", ({ service }) => `${service.url}/ingest/sns/raw/${token}`)
  .extend("withoutToken", { scope: "file" }, async ({ database, service }, { onCleanup }) => {
    const other = await startTestService({
      databaseUrl: database.url,
      roles: { receiver: true, workers: false },
      signer: service.signer,
    });
    onCleanup(() => other.close());
    return other;
  });

const payload = (messageId: string) => asMessage(sesEvent("Delivery", { messageId, after: 5 }));

/** Posts as SNS does. A header that is undefined is left out. */
async function post(
  url: string,
  body: string,
  headers: Record<string, string | undefined> = {},
): Promise<[number, Record<string, string>]> {
  const all: Record<string, string | undefined> = {
    "content-type": "text/plain; charset=UTF-8",
    "x-amz-sns-message-type": "Notification",
    "x-amz-sns-message-id": randomUUID(),
    "x-amz-sns-topic-arn": testTopic,
    "x-amz-sns-rawdelivery": "true",
    ...headers,
  };
  const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== undefined);
  const answer = await fetch(url, { method: "POST", headers: given, body });
  return [answer.status, (await answer.json()) as Record<string, string>];
}

describe("with SNS_RAW_TOKEN, /ingest/sns/raw/<token>", () => {
  test("takes a notification, once however often SNS repeats it", async ({ database, rawUrl }) => {
    const headers = { "x-amz-sns-message-id": randomUUID() };

    expect(await post(rawUrl, payload("raw-1"), headers)).toEqual([200, { status: "stored" }]);
    expect(await post(rawUrl, payload("raw-1"), headers)).toEqual([200, { status: "duplicate" }]);

    await until("it is applied", async () => {
      const rows = await database.db.query(
        "select 1 from activity where message_id = 'raw-1' and current_status = 'delivered'",
      );
      return rows.length === 1;
    });
  });

  test("takes the token before it too, while it changes", async ({ rawUrl }) => {
    expect(await post(rawUrl.replace(token, previousToken), payload("raw-2"))).toEqual([
      200,
      { status: "stored" },
    ]);
    expect((await post(rawUrl.replace(token, `${token},${previousToken}`), payload("refused")))[0]).toBe(403);
  });

  test("counts the same event once, raw or signed", async ({ service, database, rawUrl }) => {
    await post(rawUrl, payload("both"));
    await service.ingest(service.signer.notification(payload("both")));

    await until("both are applied", async () => {
      const rows = await database.db.query("select 1 from batches where applied_at is null");
      return rows.length === 0;
    });
    expect(
      await database.db.query(
        `select type from events join activity on activity.id = events.owner_id where message_id = 'both'`,
      ),
    ).toEqual([{ type: "delivered" }]);
  });

  test("takes signed messages too, for a subscription is confirmed by one", async ({ service, rawUrl }) => {
    const signed = service.signer.notification(payload("signed"));
    const forged = { ...signed, Message: payload("forged") };
    const isNotRaw = { "x-amz-sns-rawdelivery": undefined };

    expect(await post(rawUrl, JSON.stringify(signed), isNotRaw)).toEqual([200, { status: "stored" }]);
    expect((await post(rawUrl, JSON.stringify(forged), isNotRaw))[0]).toBe(403);
  });

  test.for([
    ["another token", token.replace("0", "1")],
    ["a part of the token", token.slice(0, -1)],
    ["a longer one", `${token}0`],
    ["none", ""],
    ["a slash behind it", `${token}/`],
    ["a token as long as a URL may be", "x".repeat(8_000)],
  ])("refuses %s, and tells what is wrong", async ([, given = ""], { rawUrl }) => {
    const [status, { error }] = await post(rawUrl.replace(token, given), payload("refused"));

    expect(status).toBe(403);
    expect(error).toBe("The token behind /ingest/sns/raw/ is not SNS_RAW_TOKEN");
  });

  test("refuses a topic that is not allow-listed", async ({ rawUrl }) => {
    const headers = { "x-amz-sns-topic-arn": "arn:aws:sns:eu-west-1:999999999999:other" };
    expect((await post(rawUrl, payload("foreign"), headers))[0]).toBe(403);
  });

  test.for(["x-amz-sns-topic-arn", "x-amz-sns-message-id"])(
    "names the header %s when it is missing",
    async (name, { rawUrl }) => {
      const [status, { error }] = await post(rawUrl, payload("x"), { [name]: undefined });

      expect(status).toBe(400);
      expect(error).toContain(name);
    },
  );

  test("quarantines what is no SES event", async ({ database, rawUrl }) => {
    expect(await post(rawUrl, "hello")).toEqual([200, { status: "stored" }]);

    await until("it is quarantined", async () => {
      const rows = await database.db.query("select 1 from notifications where quarantine_reason is not null");
      return rows.length === 1;
    });
  });
});

describe("without SNS_RAW_TOKEN", () => {
  test.for(["/ingest/sns", `/ingest/sns/raw/${token}`, "/ingest/sns/raw/"])(
    "a raw delivery to %s is refused with how to turn it off",
    async (path, { withoutToken }) => {
      const [status, { error }] = await post(withoutToken.url + path, payload("refused"));

      expect(status).toBe(403);
      expect(error).toContain("set-subscription-attributes");
      expect(error).toContain("--attribute-name RawMessageDelivery --attribute-value false");
    },
  );

  test("no token opens it, and with one the plain address stays closed", async ({
    service,
    withoutToken,
  }) => {
    expect((await post(`${withoutToken.url}/ingest/sns/raw/null`, payload("x")))[0]).toBe(403);
    expect((await post(`${service.url}/ingest/sns`, payload("x")))[0]).toBe(403);
  });
});

test("nothing that was refused is in the journal", async ({ database }) => {
  const rows = await database.db.query(
    "select 1 from notifications where body like '%refused%' or body like '%forged%'",
  );
  expect(rows).toEqual([]);
});
