import { describe, expect, test } from "vitest";
import { newKey } from "../http/api.ts";
import { apply } from "../support/apply.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService } from "../support/service.ts";
import { sesEvent } from "../support/ses.ts";
import { until } from "../support/wait.ts";
import { webhookSink } from "../support/webhook-sink.ts";

import { ErasureApi, jane } from "./erasure-api.ts";

const api = new ErasureApi();

test("goes from events of others too, in which a server named the person", async () => {
  await api.janesMail();
  const toJoe = { messageId: "message-3", to: ["joe@example.com"] };
  const forwarded = { emailAddress: jane, action: "failed", diagnosticCode: `550 <${jane}> unknown` };
  const detail = { bounceType: "Permanent", bounceSubType: "General", forwardedTo: { who: jane } };
  await apply(
    api.service,
    sesEvent("Send", toJoe),
    sesEvent("Bounce", { ...toJoe, after: 5, detail: { ...detail, bouncedRecipients: [forwarded] } }),
  );
  const naming = () =>
    api.database.db.query(
      "select type from events where strpos(lower(detail::text), 'jane.doe@example.com') > 0",
    );
  expect((await naming()).map(({ type }) => type)).toContain("bounced");

  expect((await api.erase())[0]).toBe(200);
  await api.eraseAll();

  expect(await naming()).toEqual([]);
  const [joes] = await api.database.db.query(
    `select detail, current_status from events join activity on activity.id = owner_id
     where type = 'bounced' and recipient = 'joe@example.com'`,
  );
  expect(joes).toEqual({
    detail: { action: "failed", bounce_type: "Permanent", bounce_subtype: "General" },
    current_status: "bounced_hard",
  });
});

test("a person is gone from every table, and what remains counts as before", async () => {
  await addEndpoint(api.service.context, "https://example.com/hook");
  await api.janesMail();
  await api.mailToBoth();
  await api.track(jane, "login", { name: "Jane Doe", city: "Utrecht-77" });
  await api.track("joe@example.com", "login", { city: "Joetown" });
  const everything = "since=2026-01-01&until=2027-01-01";
  const before = await api.get(`/v1/domain-stats?${everything}`);
  expect(await api.tablesWith("jane")).toEqual(
    expect.arrayContaining(["activity", "deliveries", "events", "notifications", "recipients"]),
  );

  expect(await api.erase()).toEqual([
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
  await api.eraseAll();

  for (const text of ["jane", "utrecht-77", "198.51.100.77"]) {
    expect([text, await api.tablesWith(text)]).toEqual([text, []]);
  }
  expect(await api.get(`/v1/domain-stats?${everything}`)).toEqual(before);
  expect((await api.service.get("/v1/recipients/jane.doe@example.com")).status).toBe(404);
  expect(await api.get("/v1/activity?email=jane.doe@example.com")).toMatchObject({ data: [] });
  expect(await api.get("/v1/events?event=login")).toMatchObject({
    data: [
      { email: "joe@example.com", properties: { city: "Joetown" } },
      { email: expect.stringMatching(/^erased-.*@erased\.invalid$/), properties: {} },
    ],
  });
  expect(await api.erase()).toEqual([404, { error: "There is no recipient with this address" }]);
});

test("others of the same email stay as they are, in the journal too", async () => {
  await api.mailToBoth();
  const joes = "/v1/activity?email=joe@example.com";
  const before = await api.get(joes);

  await api.erase();
  await api.eraseAll();

  expect(await api.get(joes)).toEqual(before);
  const bodies = await api.database.db.query<{ body: string }>("select body from notifications");
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

test("a webhook of an event that is told to lie ahead is erased as well", async () => {
  await addEndpoint(api.service.context, "https://example.com/hook");
  const timestamp = new Date(Date.now() + 3_600_000).toISOString();
  const body = { email: jane, event: "reminder", timestamp };
  expect((await api.service.request("POST", "/v1/events", { body })).status).toBe(201);

  expect(await api.erase()).toMatchObject([200, { data: { erased: { custom_events: 1, webhooks: 1 } } }]);
  await api.eraseAll();

  expect(await api.tablesWith("jane")).toEqual([]);
});

describe("suppression", () => {
  const suppress = () =>
    api.service.request("POST", "/v1/suppressions", { body: { email: "jane.doe@example.com" } });

  test("goes as well, also when nothing else is known of the person", async () => {
    await suppress();
    expect(await api.erase()).toMatchObject([
      200,
      { data: { recipient_id: null, erased: { suppression: true } } },
    ]);
    expect(await api.tablesWith("jane")).toEqual(["erasures"]);
    await api.eraseAll();
    expect(await api.tablesWith("jane")).toEqual([]);
  });

  test("stays with keep_suppression=true", async () => {
    await suppress();
    await api.track(jane, "login", {});
    expect(await api.erase("?keep_suppression=true")).toMatchObject([
      200,
      { data: { erased: { suppression: false } } },
    ]);
    await api.eraseAll();
    expect(await api.tablesWith("jane")).toEqual(["suppressions"]);
  });

  test("a wrong keep_suppression is named, and nothing is erased", async () => {
    await api.track(jane, "login", {});
    expect(await api.erase("?keep_suppression=yes")).toEqual([
      400,
      { error: "keep_suppression must be true or false" },
    ]);
    expect((await api.service.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
  });
});

test("another project's person is not known, and takes a key of all scopes", async () => {
  await api.janesMail();
  const other = await newKey(api.database.db, { isOtherProject: true });
  const narrow = await newKey(api.database.db, { scopes: ["events:read", "events:write"] });

  expect(await api.erase("", other.key)).toEqual([404, { error: "There is no recipient with this address" }]);
  expect((await api.erase("", narrow.key))[0]).toBe(403);
  expect((await api.service.get("/v1/recipients/jane.doe@example.com")).status).toBe(200);
});

test("workers clean the journal and webhooks that have gone out by themselves", async () => {
  const sink = await webhookSink(() => ({ status: 200, body: `thanks for ${jane}` }));
  const working = await startTestService({ databaseUrl: api.database.url });
  try {
    await addEndpoint(working.context, sink.url, { eventTypes: ["email.delivery"] });
    await api.janesMail();
    await until("the webhook is delivered", async () => {
      const rows = await api.database.db.query("select 1 from deliveries where state = 'succeeded'");
      return rows.length === 1;
    });

    await api.erase();

    await until("nothing is left", async () => (await api.tablesWith("jane")).length === 0);
    const [delivery] = await api.database.db.query<{ body: string; state: string }>(
      "select body, state from deliveries",
    );
    expect(delivery?.state).toBe("succeeded");
    expect(JSON.parse(delivery?.body ?? "")).toMatchObject({
      event: "email.delivery",
      data: { erased: true },
    });
    expect(await api.database.db.query("select place, address from erasures")).toEqual([
      { place: null, address: null },
    ]);
  } finally {
    await working.close();
    await sink.close();
  }
});
