import { describe, expect } from "vitest";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { ask, send, webhooksOf } from "./api.ts";

/** Without workers, so that webhooks stay pending. */
const test = projectTest({ roles: { receiver: true, workers: false } });
const addEndpoint = (project: TestProject) =>
  project.addEndpoint("https://example.com/hook", {
    event_types: ["suppression.added", "suppression.removed"],
  });
const add = (project: TestProject, body: unknown) => send(project, "POST", "/v1/suppressions", body);
type Listed = { data: { email: string }[]; pagination: { next_cursor: string | null; total: number } };
async function emails(project: TestProject, query = ""): Promise<string[]> {
  const [status, body] = await ask(project, `/v1/suppressions${query}`);
  expect(status).toBe(200);
  return (body as Listed).data.map(({ email }) => email);
}
const bounce = sesEvent("Bounce", {
  after: 5,
  detail: {
    bounceType: "Permanent",
    bounceSubType: "NoEmail",
    feedbackId: "f",
    bouncedRecipients: [{ emailAddress: "jane@example.com", action: "failed" }],
  },
});

describe("POST /v1/suppressions", () => {
  test("suppresses an address, and notifies endpoints", async ({ project }) => {
    await addEndpoint(project);
    expect(await add(project, { email: " Jane@Example.com " })).toEqual([
      201,
      { success: true, total: 1, added: 1 },
    ]);

    expect(await ask(project, "/v1/suppressions?email=JANE@example.com")).toEqual([
      200,
      {
        success: true,
        data: [
          {
            email: "jane@example.com",
            reason: "manual",
            since: expect.stringMatching(/Z$/),
            source_event_id: null,
            created_at: expect.stringMatching(/Z$/),
            tenant_name: null,
          },
        ],
        pagination: { page: 1, per_page: 50, total: 1, total_pages: 1, next_cursor: null },
      },
    ]);
    expect(await webhooksOf(project)).toMatchObject([
      {
        event: "suppression.added",
        data: { recipient: "jane@example.com", reason: "manual", source_event_id: null },
      },
    ]);
  });

  test("takes many at once, and leaves those that are suppressed as they are", async ({ project }) => {
    await project.apply(bounce);
    const before = await ask(project, "/v1/suppressions");

    expect(
      await add(project, {
        suppressions: [
          { email: "jane@example.com" },
          { email: "joe@example.com", reason: "complaint" },
          { email: "JOE@example.com" },
        ],
      }),
    ).toEqual([201, { success: true, total: 3, added: 1 }]);

    expect(await ask(project, "/v1/suppressions?reason=bounce")).toEqual(before);
    expect(await emails(project, "?reason=complaint")).toEqual(["joe@example.com"]);
  });

  test.for<[string, unknown, string]>([
    ["neither form", {}, "email or suppressions is required, and not both"],
    [
      "both forms",
      { email: "a@example.com", suppressions: [{ email: "b@example.com" }] },
      "email or suppressions is required, and not both",
    ],
    ["what is no address", { email: "jane" }, "email must be an email address"],
    [
      "a wrong element",
      { suppressions: [{ email: "a@example.com" }, { email: "jane" }] },
      "suppressions[1].email must be an email address",
    ],
    ["an unknown reason", { email: "a@example.com", reason: "dislike" }, "reason must be one of bounce"],
    ["the simulator", { email: "bounce@simulator.amazonses.com" }, "mailbox simulator"],
    ["an empty list", { suppressions: [] }, "suppressions must hold at least one address"],
    [
      "a long list",
      { suppressions: Array(1_001).fill({ email: "a@example.com" }) },
      "suppressions must hold at most 1000 addresses",
    ],
  ])("answers %s with 400, and stores nothing", async ([_what, body, error], { project }) => {
    expect(await add(project, body)).toEqual([400, { error: expect.stringContaining(error) }]);
    expect(await emails(project)).toEqual([]);
  });
});

describe("DELETE /v1/suppressions", () => {
  test.for(["/v1/suppressions/Jane@example.com", "/v1/suppressions?email=jane@EXAMPLE.com"])(
    "%s lifts a suppression, and notifies endpoints",
    async (path, { project }) => {
      await addEndpoint(project);
      await project.apply(bounce);
      const [event] = await project.select<{ id: string }>("select id from events");

      expect(await send(project, "DELETE", path)).toEqual([200, { success: true, removed: 1 }]);

      expect(await emails(project)).toEqual([]);
      expect(await webhooksOf(project)).toMatchObject([
        { event: "suppression.added" },
        {
          event: "suppression.removed",
          data: { recipient: "jane@example.com", reason: "bounce", source_event_id: event?.id },
        },
      ]);
    },
  );

  test.for([
    "/v1/suppressions/nobody@example.com",
    "/v1/suppressions/%00",
    "/v1/suppressions?email=no@example.com",
  ])("%s is 404", async (path, { project }) => {
    expect(await send(project, "DELETE", path)).toEqual([404, { error: "This address is not suppressed" }]);
  });
});

describe("the list", () => {
  const addresses = Array.from({ length: 5 }, (_, n) => `p${n}@example.com`);

  test("is walked by cursor, through equal times too", async ({ project }) => {
    await add(project, { suppressions: addresses.map((email) => ({ email })) });
    const seen: string[] = [];
    for (let cursor: string | null = ""; cursor !== null; ) {
      const [, body] = await ask(project, `/v1/suppressions?per_page=2${cursor && `&cursor=${cursor}`}`);
      seen.push(...(body as Listed).data.map(({ email }) => email));
      cursor = (body as Listed).pagination.next_cursor;
    }

    expect(seen.toSorted()).toEqual(addresses);
  });

  test("is a project's own", async ({ project, otherProject }) => {
    await add(project, { email: "jane@example.com" });

    expect(await ask(otherProject, "/v1/suppressions")).toMatchObject([200, { data: [] }]);
    expect((await send(otherProject, "DELETE", "/v1/suppressions/jane@example.com"))[0]).toBe(404);
  });

  test("comes as CSV", async ({ project }) => {
    await project.apply(bounce);
    const [event] = await project.select<{ id: string }>("select id from events");
    const [row] = await project.select<{ created_at: Date }>("select created_at from suppressions");

    const answer = await project.get("/v1/suppressions.csv?reason=bounce");

    expect([answer.status, answer.headers.get("content-type")]).toEqual([200, "text/csv; charset=utf-8"]);
    expect(await answer.text()).toBe(
      `email,reason,since,source_event_id,created_at,tenant_name\njane@example.com,bounce,2026-11-20T10:00:05.000Z,${event?.id},${row?.created_at.toISOString()},\n`,
    );
    expect(await (await project.get("/v1/suppressions.csv?reason=manual")).text()).toBe(
      "email,reason,since,source_event_id,created_at,tenant_name\n",
    );
  });
});

describe("GET /v1/recipients/:email", () => {
  test("shows a person who was written to", async ({ project }) => {
    await project.apply(bounce);
    const [recipient] = await project.select<{ id: string }>("select id from recipients");

    expect(await ask(project, "/v1/recipients/Jane@example.com")).toEqual([
      200,
      {
        success: true,
        data: {
          id: recipient?.id,
          email: "jane@example.com",
          attributes: {},
          suppressed: true,
          created_at: expect.stringMatching(/Z$/),
          updated_at: expect.stringMatching(/Z$/),
        },
      },
    ]);
  });

  test.for(["nobody@example.com", "nonsense", "%00"])("is 404 for %s", async (email, { project }) => {
    expect(await ask(project, `/v1/recipients/${email}`)).toEqual([
      404,
      { error: "There is no recipient with this address" },
    ]);
  });
});
