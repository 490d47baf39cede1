import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { projectTest } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { ask, send, stored, type Tracked, track, tracked } from "./api.ts";

const test = projectTest();
const anId = expect.stringMatching(/^[0-9a-f-]{36}$/);

describe("POST /v1/events", () => {
  test("stores an event of a new person", async ({ project }) => {
    const answer = await track(project, {
      email: "  Jane@Example.com ",
      event: "addtocart",
      properties: { sku: "A-1", price: 9.5 },
      timestamp: "2026-11-20T10:00:00+02:00",
    });

    expect(answer).toEqual([201, { success: true, event_id: anId, recipient_id: anId, created_lead: true }]);
    const { event_id, recipient_id } = answer[1] as Tracked;
    expect(await ask(project, `/v1/events/${event_id}`)).toEqual([
      200,
      {
        success: true,
        data: {
          id: event_id,
          email: "jane@example.com",
          event: "addtocart",
          properties: { sku: "A-1", price: 9.5 },
          timestamp: "2026-11-20T08:00:00.000Z",
          recipient_id,
          created_at: expect.stringMatching(/Z$/),
        },
      },
    ]);
  });

  test("knows the person again", async ({ project }) => {
    const first = await tracked(project, { email: "jane@example.com", event: "login" });

    expect(await track(project, { email: "JANE@example.com", event: "login" })).toEqual([
      201,
      { success: true, event_id: anId, recipient_id: first.recipient_id, created_lead: false },
    ]);
  });

  test("an order that is confirmed again is stored as discarded, and names the event that counts", async ({
    project,
  }) => {
    const first = await tracked(project, {
      email: "a@example.com",
      event: "confirmation",
      properties: { orderId: 7 },
    });

    const [status, again] = await track(project, {
      email: "b@example.com",
      event: "confirmation",
      properties: { orderId: " 7 " },
    });

    expect([status, again]).toEqual([
      201,
      {
        success: true,
        event_id: anId,
        recipient_id: anId,
        created_lead: true,
        discarded: "duplicate_order",
        kept: first.event_id,
      },
    ]);
  });

  test("orders whose numbers differ beyond 2^53 are different orders, and equal numbers are one order", async ({
    project,
  }) => {
    const numbers = [
      "576461413038785751",
      "576461413038785752",
      "576461413038785753",
      "576461413038785753.0",
    ];
    const answers = [];
    for (const number of numbers) {
      const body = `{"email":"a@example.com","event":"confirmation","properties":{"orderId":${number}}}`;
      answers.push((await track(project, body))[1]);
    }

    expect(answers.map((answer) => (answer as { discarded?: string }).discarded)).toEqual([
      undefined,
      undefined,
      undefined,
      "duplicate_order",
    ]);
  });

  test("numbers that a double cannot hold are shown, and posted, with all their digits", async ({
    project,
    sink,
  }) => {
    await project.addEndpoint(sink.url);
    const properties =
      '{"n": 12345678901234567890, "more": [{"odd": 9007199254740993, "long": 0.1234567890123456789012}]}';
    const one = (event: string) => `{"email":"a@example.com","event":"${event}","properties":${properties}}`;

    expect((await track(project, one("single")))[0]).toBe(201);
    expect((await send(project, "POST", "/v1/events/bulk", `{"events":[${one("update")}]}`))[0]).toBe(201);
    const inDialect = `{"user":{"email":"a@example.com"},"event":{"viewitem":${properties}}}`;
    expect((await send(project, "POST", "/v1/event", inDialect))[0]).toBe(200);

    const compact = properties.replaceAll(" ", "");
    const isShown = (text: string) => text.split(/"long":0.1234567890123456789012\}/).length - 1;
    for (const [path, count] of [
      ["/v1/events", 3],
      ["/emailit/v1/events", 3],
      ["/v1/recipients/a@example.com", 1],
      ["/v1/user/a@example.com", 1],
    ] as const) {
      const text = await (await project.get(path)).text();
      expect([
        path,
        isShown(text),
        text.includes("12345678901234567890"),
        text.includes("9007199254740993"),
      ]).toEqual([path, count, true, true]);
    }
    await until("webhooks have arrived", async () => sink.received.length === 3);
    for (const { body } of sink.received) expect(String(body)).toContain(`"properties":${compact}`);
  });

  test("an Idempotency-Key distinguishes numbers that a double cannot", async ({ project }) => {
    const headers = { "idempotency-key": "k" };
    const body = (n: string) => `{"email":"a@example.com","event":"x","properties":{"n":${n}}}`;

    expect((await track(project, body("9007199254740993"), { headers }))[0]).toBe(201);
    expect((await track(project, body("9007199254740992"), { headers }))[0]).toBe(409);
  });

  const good = { email: "jane@example.com", event: "view" };
  const nested = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
  test.for<[string, unknown, string]>([
    ["no email", { event: "view" }, "email is required"],
    ["an email that is none", { ...good, email: "jane" }, "email must be an email address"],
    ["an email with a name", { ...good, email: "Jane <jane@example.com>" }, "email must be an email address"],
    ["an email with a NUL", { ...good, email: "ja\u0000ne@example.com" }, "email must be an email address"],
    ["an email of another type", { ...good, email: 5 }, "email must be a string"],
    ["a list of emails", { ...good, email: ["jane@example.com"] }, "email must be a string"],
    ["no event", { email: "jane@example.com" }, "event is required"],
    ["an empty event", { ...good, event: "" }, "event must not be empty"],
    ["a long event", { ...good, event: "x".repeat(256) }, "event is longer than 255 characters"],
    [
      "an event with a NUL",
      { ...good, event: "a\u0000" },
      "event must be Unicode text without NUL characters",
    ],
    ["properties as a list", { ...good, properties: [] }, "properties must be an object"],
    [
      "large properties",
      { ...good, properties: { a: "x".repeat(65_536) } },
      "properties is larger than 64 KB",
    ],
    ["deep properties", { ...good, properties: nested(33) }, "properties is nested deeper than 32 levels"],
    [
      "very deep properties",
      `{"email":"jane@example.com","event":"view","properties":${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}}`,
      "properties is nested deeper than 32 levels",
    ],
    [
      "half a surrogate pair in a value",
      '{"email":"jane@example.com","event":"view","properties":{"a":["\\ud800"]}}',
      "properties must hold Unicode text without NUL characters",
    ],
    [
      "a NUL in a key",
      '{"email":"jane@example.com","event":"view","properties":{"a\\u0000":1}}',
      "properties must hold Unicode text without NUL characters",
    ],
    [
      "a long orderId",
      { ...good, event: "confirmation", properties: { orderId: "x".repeat(256) } },
      "properties.orderId is longer than 255 characters",
    ],
    ["a time that is none", { ...good, timestamp: "yesterday" }, "timestamp must be a time such as"],
    ["a time before 2000", { ...good, timestamp: "1999-12-31T23:59:59Z" }, "timestamp must not be before"],
    [
      "a time far ahead",
      { ...good, timestamp: new Date(Date.now() + 90_000_000).toISOString() },
      "timestamp must not be more than a day in the future",
    ],
    ...["1e400", "-1e400", "1e-400", "9".repeat(1_001)].map((number): [string, string, string] => [
      `the number ${number.slice(0, 10)}`,
      `{"email":"jane@example.com","event":"view","properties":{"a":[{"b":${number}}]}}`,
      `properties holds the number ${number.slice(0, 40)}`,
    ]),
    ["text", '"hello"', "The request must be an object"],
    ["what is no JSON", "{", "The body is not JSON"],
    ["nothing", "", "email is required"],
  ])("answers %s with 400 and stores nothing", async ([_what, body, error], { project }) => {
    const [status, answer] = await track(project, body);

    expect([status, answer]).toEqual([400, { error: expect.stringContaining(error) }]);
    expect(await stored(project)).toEqual([]);
  });

  test("null stands for what is left out", async ({ project }) => {
    expect((await track(project, { ...good, timestamp: null, properties: null }))[0]).toBe(201);
    expect(await track(project, { ...good, event: null })).toEqual([
      400,
      { error: "event must be a string" },
    ]);
  });

  test("takes what is just within the limits, and ignores unknown fields", async ({ project }) => {
    const properties = { ...nested(32), __proto__: { a: 1 }, more: "x".repeat(65_000) };
    const [status] = await track(project, {
      email: "j@example.com",
      event: "x".repeat(255),
      properties,
      unknown: 1,
    });

    expect(status).toBe(201);
  });
});

describe("GET /v1/events/:id", () => {
  test("finds an event of an email too", async ({ project }) => {
    await project.apply(
      sesEvent("Bounce", {
        after: 3,
        detail: {
          bounceType: "Permanent",
          bounceSubType: "NoEmail",
          feedbackId: "f-1",
          bouncedRecipients: [{ emailAddress: "jane@example.com" }],
        },
      }),
    );
    const [event] = await stored(project);
    const [activity] = await project.select<{ id: string }>("select id from activity");

    expect(await ask(project, `/v1/events/${event?.id}`)).toEqual([
      200,
      {
        success: true,
        data: {
          id: event?.id,
          email: "jane@example.com",
          event: "bounce",
          timestamp: "2026-11-20T10:00:03.000Z",
          activity_id: activity?.id,
          message_id: "message-1",
          user_agent: null,
          ip_address: null,
          is_bot_event: null,
          url_clicked: null,
          bounce_type: "Permanent",
          bounce_subtype: "NoEmail",
          complaint_feedback_type: null,
          status_code: null,
          diagnostic_code: null,
          smtp_response: null,
          delay_type: null,
          reject_reason: null,
          reported_address: null,
          created_at: expect.any(String),
          explanation: expect.any(String),
        },
      },
    ]);
  });

  test.for(["nonsense", randomUUID(), "%00", "ffffffff-ffff-ffff-ffff-ffffffffffff"])(
    "answers the id %s with 404",
    async (id, { project }) => {
      expect(await ask(project, `/v1/events/${id}`)).toEqual([
        404,
        { error: "There is no event with this id" },
      ]);
    },
  );

  test("answers another project with 404", async ({ project, otherProject }) => {
    const { event_id } = await tracked(project, { email: "jane@example.com", event: "view" });

    expect((await ask(otherProject, `/v1/events/${event_id}`))[0]).toBe(404);
  });
});
