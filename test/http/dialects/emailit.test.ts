import { describe, expect } from "vitest";
import { shortId } from "../../../src/http/dialects/emailit/short-id.ts";
import { projectTest, type TestProject } from "../../support/project-test.ts";
import { startTestService } from "../../support/service.ts";
import { sesEvent } from "../../support/ses.ts";
import { ask, track } from "../api.ts";

const test = projectTest();

type Shown = { id: string; uuid: string; type: string; data: Record<string, unknown> };
type Page = { data: Shown[]; next_page_url: string | null; previous_page_url: string | null };
async function page(project: TestProject, pathAndQuery: string): Promise<Page> {
  const [status, body] = await ask(project, pathAndQuery);
  expect([status, body]).toEqual([200, expect.anything()]);
  return body as Page;
}
const types = async (project: TestProject, query = "") =>
  (await page(project, `/emailit/v1/events${query}`)).data.map(({ type }) => type);

function bounce(messageId: string, type: string, subtype: string, recipient: object = {}) {
  const bouncedRecipients = [{ emailAddress: "jane@example.com", ...recipient }];
  const detail = { bounceType: type, bounceSubType: subtype, feedbackId: messageId, bouncedRecipients };
  return sesEvent("Bounce", { messageId, after: 5, detail });
}

describe("GET /emailit/v1/events", () => {
  test("lists email events and custom events, the newest first, in Emailit's format", async ({ project }) => {
    await project.apply(sesEvent("Send"), sesEvent("Delivery", { after: 2 }));
    await track(project, {
      email: "jane@example.com",
      event: "addtocart",
      properties: { sku: "A-1" },
      timestamp: "2026-11-20T11:00:00Z",
    });
    const [delivered] = await project.select<{ id: string; owner_id: string }>(
      "select id, owner_id from events where type = 'delivered'",
    );
    const [recipient] = await project.select<{ id: string }>("select id from recipients");

    expect(await page(project, "/emailit/v1/events")).toEqual({
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

  test("distinguishes hard bounces from soft ones, and leaves out automatic replies and discarded events", async ({
    project,
  }) => {
    const failed = { action: "failed", status: "5.1.1" };
    await project.apply(
      bounce("hard", "Permanent", "General", failed),
      bounce("soft", "Transient", "MailboxFull", failed),
      bounce("unsure", "Undetermined", "Undetermined", failed),
      bounce("reply", "Transient", "General"),
      sesEvent("Delivery", { messageId: "reply" }),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0", ipAddress: "192.0.2.1" } }),
    );

    expect((await types(project)).toSorted()).toEqual([
      "email.delivery.hardfail",
      "email.delivery.sent",
      "email.delivery.softfail",
      "email.delivery.softfail",
    ]);
    expect(await types(project, "?filter[type]=email.delivery.hardfail")).toEqual([
      "email.delivery.hardfail",
    ]);
    expect(await types(project, "?filter[type]=email.delivery.softfail")).toHaveLength(2);
    expect(await types(project, "?filter[type]=email.loaded")).toEqual([]);
    expect(await types(project, "?filter[type]=viewitem")).toEqual([]);
  });

  test("walks by pages, and names the next and the previous one", async ({ project }) => {
    await project.apply(...[1, 2, 3].map((n) => sesEvent("Delivery", { messageId: `m-${n}`, after: n })));

    const first = await page(project, "/emailit/v1/events?per_page=2&filter[type]=email.delivery.sent");
    const second = await page(project, first.next_page_url ?? "");

    expect([first.data.length, first.previous_page_url]).toEqual([2, null]);
    expect(second.data).toHaveLength(1);
    expect(second.next_page_url).toBeNull();
    expect(await page(project, second.previous_page_url ?? "")).toEqual(first);
  });

  test("names pages at PUBLIC_URL", async ({ project, database }) => {
    const environment = { PUBLIC_URL: "https://mail.example.com/fanmail/" };
    const behindProxy = await startTestService({ databaseUrl: database.url, environment });
    const [, body] = await ask(behindProxy, "/emailit/v1/events?page=2", project.key);
    await behindProxy.close();

    expect((body as Page).previous_page_url).toBe(
      "https://mail.example.com/fanmail/emailit/v1/events?page=1&per_page=25",
    );
  });

  test("finds one by its id and by its uuid, not wrapped", async ({ project }) => {
    await project.apply(sesEvent("Delivery", { after: 2 }));
    const [event] = (await page(project, "/emailit/v1/events")).data;

    expect(await ask(project, `/emailit/v1/events/${event?.id}`)).toEqual([200, event]);
    expect(await ask(project, `/emailit/v1/events/${event?.uuid.toUpperCase()}`)).toEqual([200, event]);
  });

  test.for(["nonsense", "0000000000000000", "zzzzzzzzzzzzzzzz", "%00"])(
    "does not find %s",
    async (id, { project }) => {
      expect(await ask(project, `/emailit/v1/events/${id}`)).toEqual([
        404,
        { statusCode: 404, error: "Not Found", message: "There is no event with this id" },
      ]);
    },
  );

  test("shows nothing to another project", async ({ project, otherProject }) => {
    await project.apply(sesEvent("Delivery", { after: 2 }));
    const [event] = (await page(project, "/emailit/v1/events")).data;

    expect((await ask(otherProject, `/emailit/v1/events/${event?.id}`))[0]).toBe(404);
    expect(await ask(otherProject, "/emailit/v1/events")).toMatchObject([200, { data: [] }]);
  });

  test.for<[string, string]>([
    ["page=0", "page must be a whole number of at least 1"],
    ["per_page=many", "per_page must be a whole number of at least 1"],
    ["filter[type]=%00", "filter[type] must be Unicode text"],
    ["page=1&page=2", "page must be a string, given once"],
  ])("answers %s with 400 in Emailit's shape", async ([query, message], { project }) => {
    expect(await ask(project, `/emailit/v1/events?${query}`)).toEqual([
      400,
      { statusCode: 400, error: "Bad Request", message: expect.stringContaining(message) },
    ]);
  });
});
