import { connect } from "node:net";
import { describe, expect } from "vitest";
import { projectTest } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { asMessage, sesEvent } from "../support/ses.ts";
import { type SnsSigner, testTopic } from "../support/sns-signer.ts";
import { until } from "../support/wait.ts";

const test = projectTest();

const send = (messageId: string) => asMessage(sesEvent("Send", { messageId }));

async function outcome({ ingest }: TestService, body: unknown): Promise<[number, unknown]> {
  const answer = await ingest(body);
  return [answer.status, await answer.json()];
}

async function journalSize({ context }: TestService): Promise<number> {
  const [row] = await context.db.query<{ count: number }>(
    "select count(*)::integer as count from notifications",
  );
  return row?.count ?? 0;
}

describe("POST /ingest/sns", () => {
  test.for(["1", "2"])(
    "accepts a notification signed with scheme %s, and stores it once",
    async (version, { service, database }) => {
      const message = service.signer.notification(send(`v${version}`), { SignatureVersion: version });

      expect(await outcome(service, message)).toEqual([200, { status: "stored" }]);
      expect(await outcome(service, message)).toEqual([200, { status: "duplicate" }]);

      const rows = await database.db.query("select 1 from notifications where sns_message_id = $1", [
        message["MessageId"],
      ]);
      expect(rows).toHaveLength(1);
      await until("the activity is there", async () => {
        const answer = await service.get("/v1/activity?email=jane@example.com");
        const { data } = (await answer.json()) as { data: { message_id: string }[] };
        return data.some(({ message_id }) => message_id === `v${version}`);
      });
    },
  );

  test("accepts a notification with a Subject, and one without", async ({ service }) => {
    expect(
      await outcome(service, service.signer.notification(send("s1"), { Subject: "Amazon SES" })),
    ).toEqual([200, { status: "stored" }]);
    expect(await outcome(service, service.signer.notification(send("s2")))).toEqual([
      200,
      { status: "stored" },
    ]);
  });

  test("verifies before it trims: a Message without its trailing newline is another message", async ({
    service,
  }) => {
    const message = service.signer.notification(send("trim"));
    const [status] = await outcome(service, { ...message, Message: String(message["Message"]).trimEnd() });
    expect(status).toBe(403);
  });

  test("keeps the body as it came, byte for byte", async ({ service, database }) => {
    const message = service.signer.notification(send("bytes"));
    const body = JSON.stringify(message, null, 3);

    await service.ingest(body);

    const [row] = await database.db.query<{ body: string }>(
      "select body from notifications where sns_message_id = $1",
      [message["MessageId"]],
    );
    expect(row?.body).toBe(body);
  });

  test("takes a retry with a timestamp of months ago", async ({ service }) => {
    const message = service.signer.notification(send("old"), { Timestamp: "2026-01-05T00:00:00.000Z" });
    expect(await outcome(service, message)).toEqual([200, { status: "stored" }]);
    expect(await outcome(service, message)).toEqual([200, { status: "duplicate" }]);
  });

  test("stores a signed payload that is no SES event, and quarantines it with the reason", async ({
    service,
    database,
  }) => {
    const message = service.signer.notification('{"hello":"world"}\n');

    expect(await outcome(service, message)).toEqual([200, { status: "stored" }]);

    await until("it is quarantined", async () => {
      const [row] = await database.db.query<{ quarantine_reason: string | null }>(
        "select quarantine_reason from notifications where sns_message_id = $1",
        [message["MessageId"]],
      );
      return row?.quarantine_reason === "Neither eventType nor notificationType is there: not an SES event";
    });
  });
});

describe("what is refused for good", () => {
  const foreignTopic = "arn:aws:sns:eu-west-1:999999999999:attackers-own";
  const cases: [string, number, string, (signer: SnsSigner) => unknown][] = [
    ["a body that is not JSON", 400, "The body is not JSON", () => "hello"],
    [
      "JSON that is no SNS message",
      400,
      "Not an SNS message: Type is not accepted",
      () => ({ hello: "world" }),
    ],
    ["an array", 400, "Not an SNS message: body must be of type object", () => []],
    [
      "a topic that is not allow-listed, however well it is signed",
      403,
      "This topic is not allow-listed; allow it with SNS_TOPIC_ARNS or `fanmail topics add`",
      (signer) => signer.notification(send("foreign"), { TopicArn: foreignTopic }),
    ],
    [
      "a changed message",
      403,
      "The signature does not match the message",
      (signer) => ({ ...signer.notification(send("changed")), Message: send("other") }),
    ],
    [
      "a signature of another scheme than it says",
      403,
      "The signature does not match the message",
      (signer) => ({
        ...signer.notification(send("scheme"), { SignatureVersion: "1" }),
        SignatureVersion: "2",
      }),
    ],
    [
      "a certificate on a host that only looks like SNS",
      403,
      "SigningCertURL is not the certificate of this topic's region",
      (signer) =>
        signer.notification(send("s3"), {
          SigningCertURL: "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0a.pem",
        }),
    ],
    [
      "a certificate of another region's host",
      403,
      "SigningCertURL is not the certificate of this topic's region",
      (signer) =>
        signer.notification(send("region"), {
          SigningCertURL: "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a.pem",
        }),
    ],
    [
      "an unknown Type",
      400,
      "Not an SNS message: Type is not accepted",
      (signer) => ({ ...signer.notification(send("type")), Type: "Whatever" }),
    ],
    [
      "raw delivery, which has no signature",
      400,
      "Not an SNS message: Type is not accepted",
      () => sesEvent("Send"),
    ],
  ];

  test.for(cases)("%s: %i", async ([, status, error, body], { service }) => {
    const before = await journalSize(service);
    expect(await outcome(service, body(service.signer))).toEqual([status, { error }]);
    expect(await journalSize(service)).toBe(before);
  });

  test("the canonical re-split: a message of the attacker's own topic, cut anew so that it seems to be of ours", async ({
    service,
  }) => {
    const hidden = send("forged");
    const timestamp = "2026-11-20T12:00:00.000Z";
    const tail = `\nMessageId\n8b7d1c4e-0f5a-4b57-8d9f-6a6f0a3f8f11\nTimestamp\n${timestamp}\nTopicArn\n${testTopic}\nType\nNotification`;
    const genuine = service.signer.notification(hidden + tail, {
      TopicArn: foreignTopic,
      Timestamp: timestamp,
    });
    const remainder = `Notification\nMessageId\n${genuine["MessageId"]}\nTimestamp\n${timestamp}\nTopicArn\n${foreignTopic}\nType\nNotification`;
    const forged = {
      ...genuine,
      Message: hidden,
      MessageId: "8b7d1c4e-0f5a-4b57-8d9f-6a6f0a3f8f11",
      TopicArn: testTopic,
      Type: remainder,
    };

    expect(await outcome(service, forged)).toEqual([
      400,
      { error: "Not an SNS message: Type is not accepted" },
    ]);
  });

  test("bytes that are no UTF-8, in place of a U+FFFD that is signed", async ({ service }) => {
    const body = Buffer.from(JSON.stringify(service.signer.notification(send("utf-\ufffd-8"))));
    const place = body.indexOf("\ufffd");
    for (const bytes of [[0xff], [0xed, 0xa0, 0xbd], [0xc0, 0x80], [0xef, 0xbf]]) {
      const swapped = Buffer.concat([body.subarray(0, place), Buffer.from(bytes), body.subarray(place + 3)]);
      const answer = await fetch(`${service.url}/ingest/sns`, { method: "POST", body: swapped });
      expect([answer.status, await answer.json()]).toEqual([400, { error: "The body is not UTF-8" }]);
    }
    const genuine = await fetch(`${service.url}/ingest/sns`, { method: "POST", body });
    expect(await genuine.json()).toEqual({ status: "stored" });
  });

  test("a body over 1 MiB: 413, said before it is read", async ({ service }) => {
    const answer = await service.ingest("x".repeat(1024 * 1024 + 1));
    expect([answer.status, await answer.json()]).toEqual([
      413,
      { error: "The body is larger than 1048576 bytes" },
    ]);
  });

  test("a body over 1 MiB that does not say its length: 413", async ({ service }) => {
    const answer = await rawRequest(service.url, (socket) => {
      socket.write("POST /ingest/sns HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
      const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
      for (let sent = 0; sent < 17; sent++) socket.write(chunk);
    });
    expect(answer).toMatch(/^HTTP\/1.1 413 /);
  });

  test("no answer holds the payload", async ({ service }) => {
    const answer = await service.ingest({
      ...service.signer.notification(send("secret@example.com")),
      Message: "victim@example.com",
    });
    expect(await answer.text()).not.toContain("example.com");
  });
});

test("other methods and paths are not the receiver's", async ({ service }) => {
  const get = await service.get("/ingest/sns", null);
  const elsewhere = await fetch(`${service.url}/ingest/snsx`, { method: "POST", body: "{}" });
  expect([get.status, elsewhere.status]).toEqual([404, 404]);
});

test("an answer carries the request's id, the caller's own or one of ours", async ({ service }) => {
  const headers = { "x-request-id": "caller-7" };
  const echoed = await fetch(`${service.url}/ingest/sns`, { method: "POST", body: "{}", headers });
  const made = await service.ingest("{}");

  expect(echoed.headers.get("x-request-id")).toBe("caller-7");
  expect(made.headers.get("x-request-id")).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});

test("the connection stays open long after an answer, so that a sender can use it again", async ({
  service,
}) => {
  const answer = await service.ingest("{}");
  expect(answer.headers.get("keep-alive")).toBe("timeout=120");
});

function rawRequest(url: string, write: (socket: ReturnType<typeof connect>) => void): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname, () => write(socket));
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
    });
    // The server may close while we still write.
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}
