import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { errorMeanings } from "../../src/http/errors.ts";
import type { Operation } from "../support/api-contract.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { newKey } from "../support/project-test.ts";
import { startTestService, type TestService, testApiKey } from "../support/service.ts";
import { type SesOptions, sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { type Answer, type Received, type TestSink, webhookSink } from "../support/webhook-sink.ts";
import { feed, idOf } from "./api.ts";
import { type CurlRequest, type Example, readApiDocument, readCurl } from "./api-document.ts";
import { pageTerms } from "./page-terms.ts";

/*
 * docs/api.md is true: its requests are made in page order, to a service that has received the events of three emails.
 * The page shows ids of the default project: a short id is computed from the project's id.
 */

const document = readApiDocument();
const pageUrl = "http://127.0.0.1:3000";
/** The endpoint of the page; a receiver of ours is posted to in its place. */
const pageWebhookUrl = "https://example.com/webhooks";
const receipt = "0100019aa0c5f2c0-2f6d1c9e-7a51-4f0b-9a3d-5c8e1b7f4d20-000000";
const bounced = "0100019aa0c5f2c0-8b1e4a70-3c2d-4e8f-a6b5-1d9f0c7e2a34-000000";
const erased = "0100019aa0c5f2c0-c47a9e15-6f80-4b3a-8e2c-7a5d3b1f9062-000000";

let database: TestDatabase;
let service: TestService;
let outOfOrder: TestSink;
let receiver: TestSink;
let names: Record<string, string>;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
  await feedReceipt();
  await feedBounce();
  await feedWithWaitingWebhooks();
  receiver = await webhookSink(answerOfReceiver);
  await until("the emails are listed for pollers too", async () => {
    const { data } = (await (await service.get("/api/v1/sends")).json()) as { data: unknown[] };
    return data.length === 3;
  });
  names = {
    KEY: testApiKey,
    READER_KEY: await newKey(database.db, { scopes: ["events:read"] }),
    ACTIVITY_ID: await idOf({ select: database.db.query }, receipt),
    BOUNCE_ID: await bounceId(),
    "events-of-17-mb.json": JSON.stringify({ events: ["x".repeat(17 * 1024 * 1024)] }),
  };
});
afterAll(async () => {
  await service?.close();
  await outOfOrder?.close();
  await receiver?.close();
  await database?.drop();
});

const from = ["Shop <hello@shop.example.com>"];
const phone =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148";

async function feedReceipt(): Promise<void> {
  const tags = {
    email_type: ["receipt"],
    campaign_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01"],
    "ses:configuration-set": ["my-set"],
  };
  const mail = { source: from[0], commonHeaders: { from, subject: "Your receipt for order 1102" }, tags };
  const about = (type: string, after: number, detail: SesOptions["detail"] = {}) =>
    sesEvent(type, { messageId: receipt, to: ["jane@example.com"], after, detail, mail });
  const reader = { ipAddress: "192.0.2.1", userAgent: phone };
  await feed(
    service,
    about("Send", 0),
    about("Delivery", 2, { smtpResponse: "250 2.0.0 OK" }),
    about("Open", 9, { ipAddress: "203.0.113.88", userAgent: "Mozilla/5.0" }),
    about("Open", 1800, reader),
    about("Click", 1830, { ...reader, link: "https://shop.example.com/account/orders" }),
  );
}

async function feedBounce(): Promise<void> {
  const mail = { source: from[0], commonHeaders: { from, subject: "Our autumn sale" } };
  const options = { messageId: bounced, to: ["gone@example.com"], mail };
  const recipient = {
    emailAddress: "gone@example.com",
    action: "failed",
    status: "5.1.1",
    diagnosticCode: "smtp; 550 5.1.1 user unknown",
  };
  const detail = {
    bounceType: "Permanent",
    bounceSubType: "NoEmail",
    bouncedRecipients: [recipient],
    feedbackId: "0100019aa0c5f6a8-feedback-000000",
  };
  await feed(service, sesEvent("Send", options), sesEvent("Bounce", { ...options, after: 1, detail }));
}

/** An email to the person who is erased at the end. Its webhooks wait for another attempt. */
async function feedWithWaitingWebhooks(): Promise<void> {
  outOfOrder = await webhookSink(() => ({ status: 503, headers: { "retry-after": "3600" } }));
  await addEndpoint(service.context, outOfOrder.url, { eventTypes: ["email.send", "email.delivery"] });
  const options = { messageId: erased, to: ["kim@example.com"], mail: { source: from[0] } };
  await feed(service, sesEvent("Send", options), sesEvent("Delivery", { ...options, after: 2 }));
  await until("two webhooks wait for their second attempt", async () => {
    const waiting = await database.db.query("select 1 from deliveries where state = 'retrying'");
    return waiting.length === 2;
  });
}

/** The receiver is down when `suppression.added` arrives. */
function answerOfReceiver({ headers, body }: Received): Answer {
  const isDown = headers["x-fanmail-attempt"] === "1" && body.startsWith('{"event":"suppression.added"');
  return isDown
    ? { status: 503, headers: { "retry-after": "3600" }, body: "Down for maintenance" }
    : { status: 204 };
}

/** Nothing is under way that an earlier example has set going. */
async function settled(): Promise<void> {
  await until("webhooks have been posted, and replays have taken their step", async () => {
    const open = await database.db.query(
      `select 1 from deliveries where state = 'leased' or (state in ('pending', 'retrying') and due_at <= now())
       union all select 1 from replays where state = 'running' and next_step_at <= now()`,
    );
    return open.length === 0;
  });
}

async function bounceId(): Promise<string> {
  const [event] = await database.db.query<{ id: string }>("select id from events where type = 'bounced'");
  return event?.id ?? "";
}

function send({ method, url, headers, body }: CurlRequest): Promise<Response> {
  expect(url.startsWith(pageUrl)).toBe(true);
  const posted = body?.replace(pageWebhookUrl, receiver.url);
  const options = { key: null, headers, ...(posted !== undefined && { body: posted }) };
  return service.request(method, url.slice(pageUrl.length), options);
}

describe("an example of docs/api.md is answered as the page says", () => {
  const known = pageTerms();

  test.each(document.examples)("line $line: $status", async (example) => {
    const { command, status, headers, answer } = example;
    await settled();
    const response = await send(readCurl(command, names));

    const text = (await response.text()).replaceAll(receiver.url, pageWebhookUrl);
    expect([response.status, text]).toEqual([status, expect.anything()]);
    const told = Object.keys(headers).map((name) => [name, response.headers.get(name)]);
    expect(Object.fromEntries(told)).toEqual(headers);
    if (answer.kind === "csv") {
      expect(known.translate(text, answer.text)).toBe(answer.text);
    } else {
      const body: unknown = JSON.parse(text);
      rememberNames(body);
      expect(known.translate(body, answer.body)).toEqual(answer.body);
    }
  });

  /** What later examples ask with. */
  function rememberNames(body: unknown): void {
    const { event_id, next, pagination, data } = body as {
      event_id?: string;
      next?: string;
      pagination?: { next_cursor: string | null };
      data?: Told | Told[];
    };
    if (event_id) names["EVENT_ID"] ??= event_id;
    if (next) names["NEXT"] = next;
    if (pagination?.next_cursor) names["CURSOR"] = pagination.next_cursor;
    const [told] = [data ?? []].flat();
    if (told?.id?.length === 16) names["SHORT_ID"] = told.id;
    const name = told?.id && nameOf(told);
    if (name) names[name] = told.id ?? "";
  }

  type Told = { id?: string; url?: string; event_id?: string; scope?: string };

  function nameOf({ url, event_id, scope }: Told): string | null {
    if (url) return "WEBHOOK_ID";
    if (event_id) return "DELIVERY_ID";
    return scope ? "REPLAY_ID" : null;
  }
});

describe("docs/api.md shows how an endpoint rejects requests", () => {
  test.each(document.refusals)("$status $operation $asked", async (refusal) => {
    const { operation, asked, status, message } = refusal;
    const [method = "", path = ""] = operation.split(" ");
    const headers = { authorization: `Bearer ${testApiKey}`, "content-type": "application/json" };
    const url = asked.startsWith("/") ? asked : asked.startsWith("?") ? path + asked : path;
    const body = asked.startsWith("{") ? asked : "{}";
    const response = await service.request(method, url, {
      key: null,
      headers,
      ...(["POST", "PATCH"].includes(method) && { body }),
    });

    expect([response.status, textsOf(await response.json())]).toEqual([
      status,
      expect.arrayContaining([message]),
    ]);
  });

  function textsOf(value: unknown): unknown[] {
    return typeof value === "object" && value !== null ? Object.values(value).flatMap(textsOf) : [value];
  }
});

describe("docs/api.md is complete", () => {
  /** Each operation by its heading. */
  function operations(): Map<string, Operation> {
    const paths = Object.entries(service.contract.document.paths);
    return new Map(
      paths.flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, operation]) => [
          `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
          operation,
        ]),
      ),
    );
  }

  test("it has every operation of /openapi.json, and no other", () => {
    expect(document.endpoints.map(({ operation }) => operation).toSorted()).toEqual(
      [...operations().keys()].toSorted(),
    );
  });

  test("it names every parameter and field that an operation takes, and no other, and its scope", () => {
    const told = document.endpoints.map(({ operation, scope, inputs }) => [
      operation,
      scope,
      inNoCase(inputs),
    ]);
    const taken = document.endpoints.map(({ operation: heading }) => {
      const operation = operations().get(heading);
      return [heading, scopeOf(operation), inNoCase(inputsOf(operation))];
    });
    expect(told).toEqual(taken);
  });

  function scopeOf(operation?: Operation & { security?: { apiKey: string[] }[] }): string | undefined {
    return operation?.security?.[0]?.apiKey[0];
  }

  function inputsOf(operation?: Operation): string[] {
    const body = operation?.requestBody?.content["application/json"].schema as { properties?: object };
    const parameters = operation?.parameters.map(({ name }) => name) ?? [];
    return [...parameters, ...Object.keys(body?.properties ?? {})];
  }

  /** Names of headers have none. */
  function inNoCase(inputs: string[]): string[] {
    return inputs.map((name) => name.toLowerCase()).toSorted();
  }

  test("it lists every status of an error with its meaning", () => {
    expect(document.errors).toEqual({ ...errorMeanings });
  });

  test("each endpoint has an example of its own", () => {
    const without = document.endpoints.filter(({ operation }) => {
      const [method = "", path = ""] = operation.split(" ");
      const pattern = new RegExp(
        `^${pageUrl}${path.replaceAll(".", "\\.").replaceAll(/:\w+/g, "[^/?]+")}(\\?|$)`,
      );
      return !document.examples.some((example) => {
        const request = readCurl(example.command, { ...names, ...standIns(example) });
        return example.operation === operation && request.method === method && pattern.test(request.url);
      });
    });
    expect(without).toEqual([]);
  });

  /** Names that are known only after other examples. */
  function standIns({ command }: Example): Record<string, string> {
    return Object.fromEntries([...command.matchAll(/\$(\w+)/g)].map(([, name = ""]) => [name, "any"]));
  }

  test("all commands and answers of the page are examples, and show every status that is easily had", () => {
    expect(document.blocks).toBe(2 * document.examples.length);
    const statuses = new Set(document.examples.map(({ status }) => status));
    expect([...statuses].toSorted()).toEqual([200, 201, 202, 400, 401, 403, 404, 409, 413, 415]);
  });
});
