import { randomUUID } from "node:crypto";
import { describe, expect } from "vitest";
import { type SesOptions, type SesPayload, sesEvent, timeAfter } from "../support/ses.ts";
import { at, test } from "./applied-mail.ts";

describe("suppressions", () => {
  const bounce = (messageId: string, options: SesOptions = {}) =>
    sesEvent("Bounce", { messageId, ...options });

  test("a permanent bounce suppresses the address, and is told once", async ({ mail, project }) => {
    await mail.apply(bounce("one", { to: ["Jane@EXAMPLE.com"], after: 9 }));
    await mail.apply(bounce("two", { to: ["jane@example.com"], after: 50 }));

    expect(await mail.suppressions()).toEqual([
      { address: "jane@example.com", reason: "bounce", since: at(9) },
    ]);
    expect(await mail.sources()).toEqual([{ type: "bounced", occurred_at: at(9) }]);
    const [event] = await project.select<{ id: string; owner_id: string }>(
      "select id, owner_id from events order by occurred_at limit 1",
    );
    expect(await mail.told("suppression.added")).toEqual([
      {
        event: "suppression.added",
        timestamp: expect.any(String),
        project_id: project.id,
        is_test: false,
        data: {
          activity_id: event?.owner_id,
          message_id: "one",
          recipient: "Jane@EXAMPLE.com",
          reason: "bounce",
          tenant_name: null,
          source_event_id: event?.id,
          event_timestamp: timeAfter(9),
          bounce_type: "Permanent",
          bounce_subtype: "General",
          complaint_feedback_type: null,
        },
      },
    ]);
    expect(await mail.told("email.bounce")).toHaveLength(2);
  });

  test("is owed to the endpoints that subscribed to it, and to no other", async ({
    mail,
    project,
    database,
  }) => {
    const subscribed = randomUUID();
    const [suppressionUrl, bounceUrl] = ["https://a.example.org/", "https://b.example.org/"];
    await database.db.query("delete from webhook_endpoints where project_id = $1", [project.id]);
    await database.db.query(
      `insert into webhook_endpoints (project_id, id, url, event_types)
       values ($1, $2, $3, '{suppression.added}'), ($1, $4, $5, '{email.bounce}')`,
      [project.id, subscribed, suppressionUrl, randomUUID(), bounceUrl],
    );

    await mail.apply(bounce("one"));

    const owed = await project.select("select endpoint_id from deliveries where event_type = $1", [
      "suppression.added",
    ]);
    expect(owed).toEqual([{ endpoint_id: subscribed }]);
  });

  test("two bounces of an address in one batch are told once, of the earlier", async ({ mail }) => {
    await mail.apply(bounce("late", { after: 60 }), bounce("early", { after: 30 }));

    expect(await mail.suppressions()).toEqual([
      { address: "jane@example.com", reason: "bounce", since: at(30) },
    ]);
    expect(await mail.told("suppression.added")).toMatchObject([{ data: { message_id: "early" } }]);
  });

  test("the earliest event stands, whichever arrived first", async ({ mail }) => {
    await mail.apply(bounce("one", { after: 60 }));
    await mail.apply(sesEvent("Complaint", { messageId: "two", after: 30 }));
    await mail.apply(sesEvent("Complaint", { messageId: "three", after: 90 }));

    expect(await mail.suppressions()).toEqual([
      { address: "jane@example.com", reason: "complaint", since: at(30) },
    ]);
    expect(await mail.sources()).toEqual([{ type: "complained", occurred_at: at(30) }]);
    expect(await mail.told("suppression.added")).toHaveLength(1);
  });

  test("what SES held back itself is recorded, and told as a bounce alone", async ({ mail }) => {
    await mail.apply(bounce("one", { detail: { bounceSubType: "OnAccountSuppressionList" } }));

    expect(await mail.suppressions()).toHaveLength(1);
    expect(await mail.told("suppression.added")).toEqual([]);
    expect(await mail.told("email.bounce")).toHaveLength(1);
  });

  test.for<[string, SesPayload]>([
    [
      "a bounce that leaves it open",
      bounce("one", { detail: { bounceType: "Undetermined", bounceSubType: "Undetermined" } }),
    ],
    ["a soft bounce", bounce("one", { detail: { bounceType: "Transient", bounceSubType: "MailboxFull" } })],
    ["a bounce of the simulator", bounce("one", { to: ["bounce@simulator.amazonses.com"] })],
    ["a tenant's list", bounce("one", { detail: { bounceSubType: "OnTenantSuppressionList" } })],
    ["not-spam", sesEvent("Complaint", { detail: { complaintFeedbackType: "not-spam" } })],
    ["a complaint of one of several", sesEvent("Complaint", { to: ["a@example.com", "b@example.com"] })],
    ["an unsubscribed recipient", bounce("one", { detail: { bounceSubType: "UnsubscribedRecipient" } })],
  ])("%s suppresses nobody", async ([, payload], { mail, project }) => {
    await mail.apply(payload);

    expect(
      await project.select("select type from events where type in ('bounced', 'complained')"),
    ).not.toEqual([]);
    expect(await mail.suppressions()).toEqual([]);
    expect(await mail.told("suppression.added")).toEqual([]);
  });

  test("eight batches at the same time, in opposite orders, are all applied, and tell of each address once", async ({
    mail,
    project,
  }) => {
    const people = Array.from({ length: 20 }, (_, index) => `${index + 10}@example.com`);
    const batches = Array.from({ length: 8 }, (_, index) => {
      const payloads = people.map((to) => bounce(`${index} ${to}`, { to: [to], after: index }));
      return index % 2 === 0 ? payloads : payloads.toReversed();
    });

    await Promise.all(batches.map((payloads) => mail.apply(...payloads)));

    const applied = await project.select("select attempts from batches where applied_at is not null");
    expect(applied).toEqual(batches.map(() => ({ attempts: 1 })));
    expect(await mail.suppressions()).toEqual(
      people.map((address) => ({ address, reason: "bounce", since: at(0) })),
    );
    const addresses = (await mail.told("suppression.added")).map(({ data }) => data["recipient"]);
    expect(addresses.sort()).toEqual(people);
    expect(await mail.told("email.bounce")).toHaveLength(160);
  });

  test("a suppression by hand stays as it is", async ({ mail, project, database }) => {
    await database.db.query(
      "insert into suppressions (project_id, address, reason, since) values ($1, 'jane@example.com', 'manual', $2)",
      [project.id, at(500)],
    );

    await mail.apply(bounce("one", { after: 9 }));

    expect(await mail.suppressions()).toEqual([
      { address: "jane@example.com", reason: "manual", since: at(500) },
    ]);
    expect(await mail.told("suppression.added")).toEqual([]);
  });
});
