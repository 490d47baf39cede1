import { describe, expect } from "vitest";
import type { TestProject } from "../support/project-test.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { erasureTest, jane } from "./erasure.ts";

const test = erasureTest({ roles: { receiver: true, workers: false } });

test("goes from events of others too, in which a server named the person", async ({ project, erasure }) => {
  await erasure.janesMail();
  const toJoe = { messageId: "message-3", to: ["joe@example.com"] };
  const forwarded = { emailAddress: jane, action: "failed", diagnosticCode: `550 <${jane}> unknown` };
  const detail = { bounceType: "Permanent", bounceSubType: "General", forwardedTo: { who: jane } };
  await project.apply(
    sesEvent("Send", toJoe),
    sesEvent("Bounce", { ...toJoe, after: 5, detail: { ...detail, bouncedRecipients: [forwarded] } }),
  );
  const naming = () =>
    project.select("select type from events where strpos(lower(detail::text), 'jane.doe@example.com') > 0");
  expect((await naming()).map(({ type }) => type)).toContain("bounced");

  expect((await erasure.erase())[0]).toBe(200);
  await erasure.eraseAll();

  expect(await naming()).toEqual([]);
  const [joes] = await project.select(
    `select detail, current_status from events join activity on activity.id = owner_id
     where type = 'bounced' and recipient = 'joe@example.com'`,
  );
  expect(joes).toEqual({
    detail: { action: "failed", bounce_type: "Permanent", bounce_subtype: "General" },
    current_status: "bounced_hard",
  });
});

test("a person is gone from every table, and what remains counts as before", async ({ project, erasure }) => {
  await project.addEndpoint("https://example.com/hook");
  await erasure.janesMail();
  await erasure.mailToBoth();
  await erasure.track(jane, "login", { name: "Jane Doe", city: "Utrecht-77" });
  await erasure.track("joe@example.com", "login", { city: "Joetown" });
  const everything = "since=2026-01-01&until=2027-01-01";
  const before = await erasure.get(`/v1/domain-stats?${everything}`);
  expect(await erasure.tablesWith("jane")).toEqual(
    expect.arrayContaining(["activity", "deliveries", "events", "notifications", "recipients"]),
  );

  expect(await erasure.erase()).toEqual([
    200,
    {
      success: true,
      data: {
        recipient_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        // Of the first email four, of the second sent, delivered and bounced; webhooks of these, of the
        // suppression, and of the login.
        erased: { activities: 2, events: 7, custom_events: 1, webhooks: 9, suppression: true },
        journal: "pending",
      },
    },
  ]);
  await erasure.eraseAll();

  for (const text of ["jane", "utrecht-77", "198.51.100.77"]) {
    expect([text, await erasure.tablesWith(text)]).toEqual([text, []]);
  }
  expect(await erasure.get(`/v1/domain-stats?${everything}`)).toEqual(before);
  expect((await project.get("/v1/recipients/jane.doe@example.com")).status).toBe(404);
  expect(await erasure.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({ data: [] });
  expect(await erasure.get("/v1/events?event=login")).toMatchObject({
    data: [
      { email: "joe@example.com", properties: { city: "Joetown" } },
      { email: expect.stringMatching(/^erased-.*@erased\.invalid$/), properties: {} },
    ],
  });
  expect(await erasure.erase()).toEqual([404, { error: "There is no recipient with this address" }]);
});

test("others of the same email stay as they are, in the journal too", async ({ project, erasure }) => {
  await erasure.mailToBoth();
  const joes = "/v1/activity?email=joe@example.com";
  const before = await erasure.get(joes);

  await erasure.erase();
  await erasure.eraseAll();

  expect(await erasure.get(joes)).toEqual(before);
  const bodies = await project.select<{ body: string }>("select body from notifications");
  const messages = bodies.map(({ body }) => JSON.parse(JSON.parse(body).Message));
  expect(messages.filter((message) => message.erased)).toHaveLength(1);
  expect(messages.filter((message) => message.eventType === "Send")).toEqual([
    expect.objectContaining({
      mail: expect.objectContaining({
        destination: [expect.stringMatching(/@erased\.invalid$/), "joe@example.com"],
        headers: [
          { name: "To", value: expect.stringMatching(/^erased-\S+@erased\.invalid, Joe Bloggs <joe@/) },
        ],
      }),
    }),
  ]);
});

test("a webhook of an event that is told to lie ahead is erased as well", async ({ project, erasure }) => {
  await project.addEndpoint("https://example.com/hook");
  const timestamp = new Date(Date.now() + 3_600_000).toISOString();
  const body = { email: jane, event: "reminder", timestamp };
  expect((await project.request("POST", "/v1/events", { body })).status).toBe(201);

  expect(await erasure.erase()).toMatchObject([200, { data: { erased: { custom_events: 1, webhooks: 1 } } }]);
  await erasure.eraseAll();

  expect(await erasure.tablesWith("jane")).toEqual([]);
});

describe("suppression", () => {
  const suppress = ({ request }: TestProject) =>
    request("POST", "/v1/suppressions", { body: { email: "jane.doe@example.com" } });

  test("goes as well, also when nothing else is known of the person", async ({ project, erasure }) => {
    await suppress(project);
    expect(await erasure.erase()).toMatchObject([
      200,
      { data: { recipient_id: null, erased: { suppression: true } } },
    ]);
    expect(await erasure.tablesWith("jane")).toEqual(["erasures"]);
    await erasure.eraseAll();
    expect(await erasure.tablesWith("jane")).toEqual([]);
  });

  test("stays with keep_suppression=true", async ({ project, erasure }) => {
    await suppress(project);
    await erasure.track(jane, "login", {});
    expect(await erasure.erase("?keep_suppression=true")).toMatchObject([
      200,
      { data: { erased: { suppression: false } } },
    ]);
    await erasure.eraseAll();
    expect(await erasure.tablesWith("jane")).toEqual(["suppressions"]);
  });

  test("a wrong keep_suppression is named, and nothing is erased", async ({ project, erasure }) => {
    await erasure.track(jane, "login", {});
    expect(await erasure.erase("?keep_suppression=yes")).toEqual([
      400,
      { error: "keep_suppression must be true or false" },
    ]);
    expect((await project.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
  });
});

test("another project's person is not known, and takes a key of all scopes", async ({
  project,
  otherProject,
  erasure,
}) => {
  await erasure.janesMail();
  const narrow = await project.keyWith("events:read", "events:write");

  expect(await erasure.erase("", otherProject.key)).toEqual([
    404,
    { error: "There is no recipient with this address" },
  ]);
  expect((await erasure.erase("", narrow))[0]).toBe(403);
  expect((await project.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
});

erasureTest()(
  "workers clean the journal and webhooks that have gone out by themselves",
  async ({ project, sink, erasure }) => {
    sink.answer = () => ({ status: 200, body: `thanks for ${jane}` });
    await project.addEndpoint(sink.url, { event_types: ["email.delivery"] });
    await erasure.janesMail();
    await until("the webhook is delivered", async () => {
      const rows = await project.select("select 1 from deliveries where state = 'succeeded'");
      return rows.length === 1;
    });

    await erasure.erase();

    await until("nothing is left", async () => (await erasure.tablesWith("jane")).length === 0);
    const [delivery] = await project.select<{ body: string; state: string }>(
      "select body, state from deliveries",
    );
    expect(delivery?.state).toBe("succeeded");
    expect(JSON.parse(delivery?.body ?? "")).toMatchObject({
      event: "email.delivery",
      data: { erased: true },
    });
    expect(await project.select("select place, address from erasures")).toEqual([
      { place: null, address: null },
    ]);
  },
);
