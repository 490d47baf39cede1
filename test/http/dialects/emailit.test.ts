import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { shortId } from "../../../src/http/dialects/emailit/short-id.ts";
import { type TestDatabase, testDatabase } from "../../support/database.ts";
import { startTestService, type TestService } from "../../support/service.ts";
import { sesEvent } from "../../support/ses.ts";
import { ask, feed, newKey } from "../api.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url });
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});
beforeEach(() => database.db.query("truncate activity, events, recipients, orders"));

type Shown = { id: string; uuid: string; type: string; data: Record<string, unknown> };
type Page = { data: Shown[]; next_page_url: string | null; previous_page_url: string | null };
async function page(pathAndQuery: string): Promise<Page> {
  const [status, body] = await ask(service, pathAndQuery);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as Page;
}
const types = async (query = "") => (await page(`/emailit/v1/events${query}`)).data.map(({ type }) => type);

function bounce(messageId: string, type: string, subtype: string, recipient: object = {}) {
  const bouncedRecipients = [{ emailAddress: "jane@example.com", ...recipient }];
  const detail = { bounceType: type, bounceSubType: subtype, feedbackId: messageId, bouncedRecipients };
  return sesEvent("Bounce", { messageId, after: 5, detail });
}

describe("GET /emailit/v1/events", () => {
  test("tells events of emails and custom events, the newest first, in Emailit's words", async () => {
    await feed(service, sesEvent("Send"), sesEvent("Delivery", { after: 2 }));
    await service.request("POST", "/v1/events", {
      body: {
        email: "jane@example.com",
        event: "addtocart",
        properties: { sku: "A-1" },
        timestamp: "2026-11-20T11:00:00Z",
      },
    });
    const [delivered] = await database.db.query<{ id: string; owner_id: string }>(
      "select id, owner_id from events where type = 'delivered'",
    );
    const [recipient] = await database.db.query<{ id: string }>("select id from recipients");

    expect(await page("/emailit/v1/events")).toEqual({
      data: [
        {
          id: expect.stringMatching(/^[0-9A-Za-z]{16}$/),
          uuid: expect.any(String),
          type: "addtocart",
          data: { email: "jane@example.com", recipient_id: recipient?.id, properties: { sku: "A-1" } },
          created_at: "2026-11-20T11:00:00.000000Z",
          updated_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
        },
        {
          id: shortId(delivered?.id ?? ""),
          uuid: delivered?.id,
          type: "email.delivery.sent",
          data: {
            email: {
              id: delivered?.owner_id,
              message_id: "message-1",
              to: "jane@example.com",
              from: "shop@example.org",
              subject: null,
            },
            ip_address: null,
            user_agent: null,
            url: null,
            bounce_type: null,
            bounce_subtype: null,
            diagnostic: null,
          },
          created_at: "2026-11-20T10:00:02.000000Z",
          updated_at: expect.any(String),
        },
      ],
      next_page_url: null,
      previous_page_url: null,
    });
  });

  test("tells hard bounces from soft ones, and leaves out automatic replies and discards", async () => {
    const failed = { action: "failed", status: "5.1.1" };
    await feed(
      service,
      bounce("hard", "Permanent", "General", failed),
      bounce("soft", "Transient", "MailboxFull", failed),
      bounce("unsure", "Undetermined", "Undetermined", failed),
      bounce("reply", "Transient", "General"),
      sesEvent("Delivery", { messageId: "reply" }),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0", ipAddress: "192.0.2.1" } }),
    );

    expect((await types()).toSorted()).toEqual([
      "email.delivery.hardfail",
      "email.delivery.sent",
      "email.delivery.softfail",
      "email.delivery.softfail",
    ]);
    expect(await types("?filter[type]=email.delivery.hardfail")).toEqual(["email.delivery.hardfail"]);
    expect(await types("?filter[type]=email.delivery.softfail")).toHaveLength(2);
    expect(await types("?filter[type]=email.loaded")).toEqual([]);
    expect(await types("?filter[type]=viewitem")).toEqual([]);
  });

  test("walks by pages, and names the next and the previous one", async () => {
    await feed(service, ...[1, 2, 3].map((n) => sesEvent("Delivery", { messageId: `m-${n}`, after: n })));

    const first = await page("/emailit/v1/events?per_page=2&filter[type]=email.delivery.sent");
    const second = await page(first.next_page_url ?? "");

    expect([first.data.length, first.previous_page_url]).toEqual([2, null]);
    expect(second.data).toHaveLength(1);
    expect(second.next_page_url).toBeNull();
    expect(await page(second.previous_page_url ?? "")).toEqual(first);
  });

  test("names pages at PUBLIC_URL", async () => {
    const environment = { PUBLIC_URL: "https://mail.example.com/fanmail/" };
    const behindProxy = await startTestService({ databaseUrl: database.url, environment });
    const [, body] = await ask(behindProxy, "/emailit/v1/events?page=2");
    await behindProxy.close();

    expect((body as Page).previous_page_url).toBe(
      "https://mail.example.com/fanmail/emailit/v1/events?page=1&per_page=25",
    );
  });

  test("finds one by its id and by its uuid, not wrapped", async () => {
    await feed(service, sesEvent("Delivery", { after: 2 }));
    const [event] = (await page("/emailit/v1/events")).data;

    expect(await ask(service, `/emailit/v1/events/${event?.id}`)).toEqual([200, event]);
    expect(await ask(service, `/emailit/v1/events/${event?.uuid.toUpperCase()}`)).toEqual([200, event]);
  });

  test.each(["nonsense", "0000000000000000", "zzzzzzzzzzzzzzzz", "%00"])("does not find %s", async (id) => {
    expect(await ask(service, `/emailit/v1/events/${id}`)).toEqual([
      404,
      { statusCode: 404, error: "Not Found", message: "There is no event with this id" },
    ]);
  });

  test("shows nothing to another project", async () => {
    await feed(service, sesEvent("Delivery", { after: 2 }));
    const [event] = (await page("/emailit/v1/events")).data;
    const { key } = await newKey(database.db, { isOtherProject: true });

    expect((await ask(service, `/emailit/v1/events/${event?.id}`, key))[0]).toBe(404);
    expect(await ask(service, "/emailit/v1/events", key)).toMatchObject([200, { data: [] }]);
  });

  test.each([
    ["page=0", "page must be a whole number of at least 1"],
    ["per_page=many", "per_page must be a whole number of at least 1"],
    ["filter[type]=%00", "filter[type] must be Unicode text"],
    ["page=1&page=2", "page must be a string, given once"],
  ])("answers %s with 400 in Emailit's shape", async (query, message) => {
    expect(await ask(service, `/emailit/v1/events?${query}`)).toEqual([
      400,
      { statusCode: 400, error: "Bad Request", message: expect.stringContaining(message) },
    ]);
  });
});
