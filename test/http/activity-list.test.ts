import { describe, expect } from "vitest";
import { newProject, projectTest, type TestProject } from "../support/project-test.ts";
import type { TestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { ask, list, messageIds, seed } from "./api.ts";

const campaign = "0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a01";
const run = "0b7e6a52-8f0e-4d55-b1f6-3a4c1f0b7a02";

const test = projectTest({ roles: { receiver: true, workers: false } })
  .extend("emails", { scope: "file" }, ({ service }) => ofEveryStatus(service))
  .extend("timed", { scope: "file" }, ({ service }) => ofTwoDays(service));

async function ofEveryStatus(service: TestService): Promise<TestProject> {
  const project = await newProject(service);
  const event = (type: string, messageId: string, more = {}) => sesEvent(type, { messageId, ...more });
  const tagged = { tags: { campaign_id: [campaign], automation_run_id: [run] } };
  const from = (source: string) => ({ source });
  await project.apply(
    event("Subscription", "subscribed"),
    event("Send", "sent", { to: ["Mixed.Case+tag@Example.com"], mail: tagged }),
    event("DeliveryDelay", "delayed", { to: ["kim@bücher.example"], mail: from("a@Mail.Shop.example") }),
    event("Bounce", "soft", { detail: { bounceType: "Transient", bounceSubType: "MailboxFull" } }),
    event("Bounce", "hard", { mail: { tags: { campaign_id: [campaign] } } }),
    event("Delivery", "delivered", { mail: tagged, to: ["mixed.case+tag@example.com"] }),
    event("Reject", "rejected"),
    event("Rendering Failure", "unrendered"),
    event("Complaint", "complained"),
    event("Open", "opened", { mail: from("b@mail.shop.example") }),
    event("Click", "clicked", { mail: from("c@shop.example") }),
  );
  // No event of SES alone makes this status.
  await seed(service.context.db, project.id, [
    { messageId: "suppressed", createdAt: "2026-11-20T12:00:00Z", status: "suppressed" },
  ]);
  return project;
}

async function ofTwoDays(service: TestService): Promise<TestProject> {
  const project = await newProject(service);
  await seed(service.context.db, project.id, [
    { messageId: "before", createdAt: "2026-11-19T23:59:59.999999Z" },
    { messageId: "midnight", createdAt: "2026-11-20T00:00:00Z" },
    { messageId: "noon", createdAt: "2026-11-20T12:00:00.123456Z" },
    { messageId: "next", createdAt: "2026-11-21T00:00:00Z" },
  ]);
  return project;
}

const found = async (emails: TestProject, query: string) => (await messageIds(emails, query)).sort();
const query = (parameters: Record<string, string>) => new URLSearchParams(parameters).toString();

describe("GET /v1/activity", () => {
  test("lists all without a filter", async ({ emails }) => {
    const page = await list(emails, "");
    expect(page.data).toHaveLength(12);
    expect(page.pagination).toEqual({ page: 1, per_page: 50, total: 12, total_pages: 1, next_cursor: null });
  });

  test("shows an email as GET /v1/activity/:id does", async ({ emails }) => {
    const { data } = await list(emails, "status=complained");
    const [, one] = await ask(emails, `/v1/activity/${data[0]?.id}`);
    expect(one).toEqual({ success: true, data: data[0] });
  });

  test.for<[string, string[]]>([
    ["queued", []],
    ["sent", ["clicked", "opened", "sent", "subscribed"]],
    ["delayed", ["delayed"]],
    ["bounced", ["hard", "soft"]],
    ["delivered", ["delivered"]],
    ["failed", ["rejected", "unrendered"]],
    ["suppressed", ["suppressed"]],
    ["complained", ["complained"]],
    ["opened", ["opened"]],
    ["clicked", ["clicked"]],
  ])("status=%s", async ([status, expected], { emails }) => {
    const page = await list(emails, `status=${status}`);
    expect(page.data.map(({ message_id }) => message_id).sort()).toEqual(expected);
    expect(page.pagination.total).toBe(expected.length);
  });

  test.for([
    "mixed.case+tag@example.com",
    "MIXED.case+TAG@EXAMPLE.com",
    " Mixed Case <mixed.case+tag@example.com> ",
  ])("email=%s finds every spelling of the address", async (email, { emails }) => {
    expect(await found(emails, query({ email }))).toEqual(["delivered", "sent"]);
  });

  test.for(["kim@bücher.example", "KIM@xn--bcher-kva.example"])(
    "email=%s finds a domain in either script",
    async (email, { emails }) => {
      expect(await found(emails, query({ email }))).toEqual(["delayed"]);
    },
  );

  test("email finds the whole address, no part of it, and takes % for a character", async ({ emails }) => {
    expect(await found(emails, query({ email: "case+tag@example.com" }))).toEqual([]);
    expect(await found(emails, query({ email: "%@example.com" }))).toEqual([]);
  });

  test("campaign_id and automation_run_id, in either case", async ({ emails }) => {
    expect(await found(emails, `campaign_id=${campaign}`)).toEqual(["delivered", "hard", "sent"]);
    expect(await found(emails, `automation_run_id=${run.toUpperCase()}`)).toEqual(["delivered", "sent"]);
    expect(await found(emails, `campaign_id=${run}`)).toEqual([]);
  });

  test("sender_domain, in either case, without its subdomains", async ({ emails }) => {
    expect(await found(emails, "sender_domain=mail.shop.example")).toEqual(["delayed", "opened"]);
    expect(await found(emails, "sender_domain=SHOP.example")).toEqual(["clicked"]);
  });

  test("filters are combined", async ({ emails }) => {
    const both = { email: "mixed.case+tag@example.com", campaign_id: campaign, automation_run_id: run };
    expect(await found(emails, query(both))).toEqual(["delivered", "sent"]);
    expect(await found(emails, query({ ...both, status: "delivered" }))).toEqual(["delivered"]);
    expect(
      await found(emails, query({ ...both, status: "delivered", sender_domain: "example.org" })),
    ).toEqual(["delivered"]);
    expect(await found(emails, query({ ...both, status: "opened" }))).toEqual([]);
  });

  test("parameters that are foreign to it are ignored", async ({ emails }) => {
    expect(await found(emails, "status=delayed&colour=red&utm_source=a&utm_source=b&_=17&%00=%00")).toEqual([
      "delayed",
    ]);
  });
});

describe("since and until", () => {
  test("since is inclusive", async ({ timed }) => {
    expect(await messageIds(timed, "since=2026-11-20T00:00:00Z")).toEqual(["next", "noon", "midnight"]);
    expect(await messageIds(timed, "since=2026-11-20T00:00:00.001Z")).toEqual(["next", "noon"]);
  });

  test("until is inclusive", async ({ timed }) => {
    expect(await messageIds(timed, "until=2026-11-20T00:00:00Z")).toEqual(["midnight", "before"]);
    expect(await messageIds(timed, "until=2026-11-20T12:00:00.122Z")).toEqual(["midnight", "before"]);
  });

  test("the created_at that an answer shows finds its row, as since and as until", async ({ timed }) => {
    const { data } = await list(timed, "");
    const noon = data.find(({ message_id }) => message_id === "noon")?.created_at;
    expect(noon).toBe("2026-11-20T12:00:00.123Z");
    expect(await messageIds(timed, `since=${noon}&until=${noon}`)).toEqual(["noon"]);
  });

  test("a date is its first moment in UTC, and as `until` its last", async ({ timed }) => {
    expect(await messageIds(timed, "since=2026-11-20&until=2026-11-21")).toEqual([
      "next",
      "noon",
      "midnight",
    ]);
    expect(await messageIds(timed, "until=2026-11-20")).toEqual(["noon", "midnight", "before"]);
  });

  test("a time may have an offset", async ({ timed }) => {
    expect(
      await messageIds(timed, "since=2026-11-20T14:00:00%2B02:00&until=2026-11-20T19:00:00-05:00"),
    ).toEqual(["next", "noon"]);
  });

  test("with until before since there is nothing", async ({ timed }) => {
    expect(await messageIds(timed, "since=2026-11-21&until=2026-11-20")).toEqual([]);
  });

  test.for(["0001-01-01", "9999-12-31", "0000-01-01"])("%s is a time too", async (time, { timed }) => {
    const [status] = await ask(timed, `/v1/activity?since=${time}&until=${time}`);
    expect(status).toBe(200);
  });
});

describe("a parameter that is wrong is answered 400, and named", () => {
  const uuidError = "must be a UUID";
  const timeError = "must be a time such as 2026-01-31 or 2026-01-31T12:00:00Z";
  const domainError = "must be a domain such as example.com";
  const statusError =
    "must be one of queued, sent, delayed, bounced, delivered, failed, suppressed, complained, opened, clicked";

  test.for([
    ["email=nobody", "email must be an email address"],
    ["email=", "email must be an email address"],
    [`email=${"a".repeat(320)}@example.com`, "email is longer than an email address may be"],
    ["status=bounced_hard", `status ${statusError}`],
    ["status=", `status ${statusError}`],
    [`status=${"s".repeat(5_000)}`, `status ${statusError}`],
    ["campaign_id=1", `campaign_id ${uuidError}`],
    [`campaign_id=${campaign}0`, `campaign_id ${uuidError}`],
    ["automation_run_id=abc", `automation_run_id ${uuidError}`],
    [`automation_run_id=${"0".repeat(5_000)}`, `automation_run_id ${uuidError}`],
    ["sender_domain=exa%20mple.com", `sender_domain ${domainError}`],
    ["sender_domain=", `sender_domain ${domainError}`],
    [`sender_domain=${"a".repeat(254)}`, "sender_domain is longer than a domain may be"],
    ["since=yesterday", `since ${timeError}`],
    ["since=2026-02-30", `since ${timeError}`],
    ["since=2026-11-20T12:00:00 CET", `since ${timeError}`],
    ["until=1763640000", `until ${timeError}`],
    ["until=2026-11-20T25:00:00Z", `until ${timeError}`],
  ])("%s", async ([text, error], { emails }) => {
    expect(await ask(emails, `/v1/activity?${text}`)).toEqual([400, { error }]);
  });

  const parameters = {
    email: "jane@example.com",
    status: "sent",
    campaign_id: campaign,
    automation_run_id: run,
    sender_domain: "example.org",
    since: "2026-11-20",
    until: "2026-11-20",
    page: "1",
    per_page: "1",
    cursor: "abc",
  };
  const names = Object.entries(parameters);

  test.for(names)("%s given twice", async ([name, value], { emails }) => {
    const [status, body] = await ask(emails, `/v1/activity?${name}=${value}&${name}=${value}`);
    expect([status, body]).toEqual([400, { error: expect.stringMatching(new RegExp(`^${name} must be `)) }]);
  });

  test.for(names)("%s with a NUL byte", async ([name, value], { emails }) => {
    for (const text of ["%00", `${value}%00`, `%00${value}`]) {
      const [status, body] = await ask(emails, `/v1/activity?${name}=${text}`);
      expect([status, body]).toEqual([400, { error: expect.stringMatching(new RegExp(`^${name} `)) }]);
    }
  });

  test.for(names)("%s with text that is not URL-encoded", async ([name], { emails }) => {
    const [status, body] = await ask(emails, `/v1/activity?${name}=%E0%A4%A`);
    expect([status, body]).toEqual([400, { error: expect.stringMatching(new RegExp(`^${name} `)) }]);
  });
});
