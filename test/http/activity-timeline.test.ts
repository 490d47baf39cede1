import { describe, expect } from "vitest";
import { newProject, projectTest } from "../support/project-test.ts";
import { sesEvent, timeAfter } from "../support/ses.ts";
import { ask, idOf } from "./api.ts";

/** `show` gets the activity of one email about which much was reported. */
const test = projectTest({ roles: { receiver: true, workers: false } }).extend(
  "show",
  { scope: "file" },
  async ({ service }) => {
    const project = await newProject(service);
    const about = (type: string, after: number, detail = {}) =>
      sesEvent(type, { messageId: "timeline", after, detail });
    const opened = { userAgent: "Windows Mail", ipAddress: "192.0.2.1" };
    // Not in order of time; and what is fed at once may be applied at once, so the open that is to count at first goes alone.
    await project.apply(about("Open", 1299, opened));
    await project.apply(
      about("Click", 150, { ...opened, link: "https://shop.example.com/a?b=c" }),
      about("Send", 0),
      about("Open", 100, opened),
      about("Open", 1300, opened),
      about("Bounce", 5000, { bounceType: "Transient", bounceSubType: "MailboxFull" }),
      about("Complaint", 6000, { complaintFeedbackType: "abuse", userAgent: "Loop" }),
      about("Delivery", 3),
    );
    const id = await idOf(project, "timeline");
    return (query: string) => ask(project, `/v1/activity/${id}${query}`);
  },
);

type Show = (query: string) => Promise<[number, unknown]>;
const isoTime = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const uuid = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);

describe("include", () => {
  const nothing = {
    user_agent: null,
    ip_address: null,
    is_bot_event: null,
    url_clicked: null,
    bounce_type: null,
    bounce_subtype: null,
    complaint_feedback_type: null,
    status_code: null,
    diagnostic_code: null,
    smtp_response: null,
    delay_type: null,
    reject_reason: null,
    reported_address: null,
    explanation: null,
  };
  const shown = (event_type: string, after: number, fields = {}) => ({
    ...nothing,
    ...{ id: uuid, event_type, event_timestamp: timeAfter(after), created_at: isoTime },
    ...fields,
  });
  const reader = { user_agent: "Windows Mail", ip_address: "192.0.2.1" };

  const events = async (show: Show, query: string) => {
    const [status, body] = await show(query);
    expect(status).toBe(200);
    return (body as { data: { events?: unknown } }).data.events;
  };

  const complained = shown("complaint", 6000, {
    complaint_feedback_type: "abuse",
    user_agent: "Loop",
    explanation:
      "The recipient or their mail provider reported the email as spam; Fanmail suppresses the address, and you should write only to people who asked you to.",
  });
  const bounced = shown("bounce", 5000, {
    bounce_type: "Transient",
    bounce_subtype: "MailboxFull",
    explanation:
      "The recipient's mailbox is full and SES has stopped trying; send again later, and take the address off your lists if it stays full.",
  });
  const clicked = shown("click", 150, { ...reader, url_clicked: "https://shop.example.com/a?b=c" });

  test("html is null where it is not known, and absent where it is not asked for", async ({ show }) => {
    const [, withHtml] = await show("?include=html");
    const [, without] = await show("");

    expect(withHtml).toEqual({
      success: true,
      data: { ...(without as { data: object }).data, html_content: null },
    });
    expect(without).not.toHaveProperty("data.html_content");
  });

  test("without it there is no timeline", async ({ show }) => {
    expect(await events(show, "")).toBeUndefined();
    expect(await events(show, "?include=discarded")).toBeUndefined();
  });

  test("events: what counts, in order of event time", async ({ show }) => {
    expect(await events(show, "?include=events")).toEqual([
      shown("send", 0),
      shown("delivered", 3),
      shown("open", 100, reader),
      clicked,
      shown("open", 1300, reader),
      bounced,
      complained,
    ]);
  });

  test.for(["events,discarded", "discarded,%20events"])(
    "%s: also an open within 20 minutes of one that counts, with the reason",
    async (include, { show }) => {
      const timeline = (await events(show, `?include=${include}`)) as { id: string }[];

      expect(timeline).toEqual([
        shown("send", 0),
        shown("delivered", 3),
        shown("open", 100, reader),
        clicked,
        shown("open", 1299, {
          ...reader,
          explanation:
            "This open does not count because another open of the same email within the open window does; there is nothing to do.",
          discarded: "open_window",
          kept: timeline[2]?.id,
          // It arrived, and counted, before the one at 100 s.
          reclassified: true,
        }),
        shown("open", 1300, reader),
        bounced,
        complained,
      ]);
    },
  );

  test.for<[string, string]>([
    ["?include=everything", "include[0] takes events, discarded and html, separated by commas"],
    ["?include=events,nonsense", "include[1] takes events, discarded and html, separated by commas"],
    ["?include=events%00", "include[0] takes events, discarded and html, separated by commas"],
    ["?include=", "include[0] takes events, discarded and html, separated by commas"],
    ["?include=events&include=discarded", "include must be a string, given once"],
  ])("%s is refused", async ([query, error], { show }) => {
    expect(await show(query)).toEqual([400, { error }]);
  });
});
