import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { projectTest } from "../support/project-test.ts";
import { sesEvent, timeAfter } from "../support/ses.ts";
import { ask, idOf } from "./api.ts";

const test = projectTest({ roles: { receiver: true, workers: false } });

const isoTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const notFound = [404, { error: "There is no activity with this id" }];

const tags = {
  email_type: ["receipt"],
  campaign_id: ["0B7E6A52-8F0E-4D55-B1F6-3A4C1F0B7A01"],
  automation_run_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a02"],
  template_id: ["0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a03"],
  color: ["red", "green"],
};

describe("GET /v1/activity/:id", () => {
  test("shows everything known about an email to a recipient", async ({ project }) => {
    const mail = {
      tags,
      commonHeaders: { from: ['"Shop, the" <Hello@Shop.Example.com>'], subject: "Your receipt" },
    };
    const to = ["Jane <Jane@Example.COM>"];
    const about = (type: string, after: number, detail = {}) =>
      sesEvent(type, { messageId: "whole", to, after, detail, mail });
    await project.apply(
      about("Send", 0),
      about("Delivery", 2),
      about("Open", 60, { userAgent: "Windows Mail", ipAddress: "192.0.2.1" }),
      about("Click", 70, { link: "https://shop.example.com/" }),
      about("Click", 80, { link: "https://shop.example.com/2" }),
      about("Complaint", 90),
    );
    const id = await idOf(project, "whole");

    expect(await ask(project, `/v1/activity/${id}`)).toEqual([
      200,
      {
        success: true,
        data: {
          id,
          created_at: isoTime,
          email_type: "receipt",
          campaign_id: "0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01",
          automation_run_id: "0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a02",
          template_id: "0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a03",
          message_id: "whole",
          subject: "Your receipt",
          sender_email: "Hello@Shop.Example.com",
          sender_name: "Shop, the",
          recipient_primary: "Jane@Example.COM",
          current_status: "complained",
          sent_at: timeAfter(0),
          delivered_at: timeAfter(2),
          bounced_at: null,
          complained_at: timeAfter(90),
          opened_first_at: timeAfter(60),
          clicked_first_at: timeAfter(70),
          opened_any_first_at: timeAfter(60),
          clicked_any_first_at: timeAfter(70),
          open_count: 1,
          click_count: 2,
          recipient_certain: true,
          is_test: false,
          tags,
          tenant_name: null,
        },
      },
    ]);
  });

  test("has every field; unknown ones are null", async ({ project }) => {
    const mail = { timestamp: undefined, source: undefined };
    await project.apply(sesEvent("Subscription", { messageId: "bare", mail }));

    expect(await ask(project, `/v1/activity/${await idOf(project, "bare")}`)).toEqual([
      200,
      {
        success: true,
        data: {
          id: uuid,
          created_at: isoTime,
          email_type: null,
          campaign_id: null,
          automation_run_id: null,
          template_id: null,
          message_id: "bare",
          subject: null,
          sender_email: null,
          sender_name: null,
          recipient_primary: "jane@example.com",
          current_status: "sent",
          sent_at: null,
          delivered_at: null,
          bounced_at: null,
          complained_at: null,
          opened_first_at: null,
          clicked_first_at: null,
          opened_any_first_at: null,
          clicked_any_first_at: null,
          open_count: 0,
          click_count: 0,
          recipient_certain: true,
          is_test: false,
          tags: {},
          tenant_name: null,
        },
      },
    ]);
  });

  test("finds an email by the tag `activity_id` of its sender and by the computed id, and shows the sender's", async ({
    project,
  }) => {
    const tagged = randomUUID();
    const mail = { tags: { activity_id: [tagged.toUpperCase()] } };
    await project.apply(sesEvent("Send", { messageId: "tagged", mail }));
    const computed = await idOf(project, "tagged");
    expect(computed).not.toBe(tagged);

    const answers = [
      await ask(project, `/v1/activity/${tagged}`),
      await ask(project, `/v1/activity/${tagged.toUpperCase()}`),
      await ask(project, `/v1/activity/${computed}`),
    ];

    const found = [
      200,
      { success: true, data: expect.objectContaining({ id: tagged, message_id: "tagged" }) },
    ];
    expect(answers).toEqual([found, found, found]);
  });

  test("gives the tag's id to the primary recipient alone", async ({ project }) => {
    const tagged = randomUUID();
    const mail = { tags: { activity_id: [tagged] } };
    await project.apply(
      sesEvent("Send", { messageId: "two", to: ["one@example.com", "two@example.com"], mail }),
    );

    const [, body] = await ask(project, "/v1/activity?email=two@example.com");
    const [, primary] = await ask(project, `/v1/activity/${tagged}`);

    expect(primary).toMatchObject({ data: { recipient_primary: "one@example.com" } });
    expect((body as { data: { id: string }[] }).data.map(({ id }) => id)).toEqual([uuid]);
  });

  test.for([
    ["an unknown UUID", randomUUID()],
    ["what is no UUID", "abc"],
    ["a UUID with something behind it", `${randomUUID()}0`],
    ["a NUL byte", "%00"],
    ["a UUID with a NUL byte behind it", `${randomUUID()}%00`],
    ["a very long text", "a".repeat(8_000)],
  ])("answers 404 to %s", async ([_what, id], { project }) => {
    expect(await ask(project, `/v1/activity/${id}`)).toEqual(notFound);
  });

  test("answers 404 to the id of another project's email, computed or tagged", async ({
    project,
    otherProject,
  }) => {
    const tagged = randomUUID();
    await project.apply(sesEvent("Send", { messageId: "mine", mail: { tags: { activity_id: [tagged] } } }));
    const computed = await idOf(project, "mine");

    expect(await ask(otherProject, `/v1/activity/${computed}`)).toEqual(notFound);
    expect(await ask(otherProject, `/v1/activity/${tagged}`)).toEqual(notFound);
    expect(await ask(otherProject, "/v1/activity")).toMatchObject([
      200,
      { data: [], pagination: { total: 0 } },
    ]);
  });
});
