import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultProjectId, setProjectRules } from "../../src/storage/projects.ts";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { type SesOptions, type SesPayload, sesEvent, timeAfter } from "../support/ses.ts";

let database: TestDatabase;
let service: TestService;

beforeEach(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, roles: { receiver: false, workers: false } });
  await database.db.query(
    `insert into webhook_endpoints (project_id, id, url, event_types) values ($1, $2, 'https://example.org/', '{*}')`,
    [defaultProjectId, randomUUID()],
  );
});
afterEach(async () => {
  await service.close();
  await database.drop();
});

const person = {
  userAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/97.0 Safari/537.36",
};
const click = (after: number) =>
  sesEvent("Click", { after, detail: { ...person, link: "https://example.org/" } });
const delivery = (after: number) => sesEvent("Delivery", { after });
const at = (seconds: number) => new Date(timeAfter(seconds));

async function activity(): Promise<Record<string, unknown> | undefined> {
  const [row] = await database.db.query("select * from activity");
  return row;
}
const decided = (type: string) =>
  database.db.query(
    `select discarded, detail ->> 'machine' as machine, (detail ->> 'reclassified')::boolean as reclassified
     from events where type = $1 order by occurred_at`,
    [type],
  );
const told = async (type: string) =>
  (
    await database.db.query<{ body: string }>("select body from deliveries where event_type = $1", [type])
  ).map(({ body }) => JSON.parse(body));
const suppressions = () =>
  database.db.query("select address, reason, since from suppressions order by address");
const sources = () =>
  database.db.query(
    "select type, occurred_at from suppressions join events on events.id = source_event_id order by address",
  );

describe("machines", () => {
  test("a click two seconds after the delivery is a scanner's: listed, and told to nobody", async () => {
    await apply(service, delivery(2), click(4));

    expect(await activity()).toMatchObject({
      click_count: 0,
      clicked_first_at: null,
      clicked_any_first_at: at(4),
    });
    expect(await decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: null },
    ]);
    expect(await told("email.click")).toEqual([]);
  });

  test("a click a moment more than two seconds after the delivery is a person's", async () => {
    await apply(service, delivery(2), click(4.001));

    expect(await activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4.001) });
    expect(await told("email.click")).toHaveLength(1);
  });

  test("a repeated delivery changes nothing, and neither does the reclassified click when it comes again", async () => {
    await apply(service, click(4));
    await apply(service, delivery(2));
    await apply(service, delivery(2), click(4));

    expect(await decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: true },
    ]);
    expect(await told("email.click")).toHaveLength(1);
  });

  test("the same when the delivery arrives later; the click then says that it had counted", async () => {
    await apply(service, click(4));
    expect(await told("email.click")).toHaveLength(1);

    await apply(service, delivery(2));

    expect(await activity()).toMatchObject({ click_count: 0, clicked_first_at: null, delivered_at: at(2) });
    expect(await decided("clicked")).toEqual([
      { discarded: "machine", machine: "delivery", reclassified: true },
    ]);
    expect(await told("email.click")).toHaveLength(1);
  });

  test("a still earlier delivery gives the click back, and its webhook is not told twice", async () => {
    await apply(service, click(4));
    await apply(service, delivery(2));
    await apply(service, sesEvent("Delivery", { after: 1, detail: { smtpResponse: "250 first" } }));

    expect(await activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4) });
    expect(await decided("clicked")).toEqual([{ discarded: null, machine: null, reclassified: null }]);
    expect(await told("email.click")).toHaveLength(1);
  });

  test("Apple's prefetch is no open; the person's after it is", async () => {
    await apply(
      service,
      delivery(1),
      sesEvent("Open", { after: 60, detail: { userAgent: "Mozilla/5.0" } }),
      sesEvent("Open", { after: 90, detail: person }),
    );

    expect(await activity()).toMatchObject({
      open_count: 1,
      opened_first_at: at(90),
      opened_any_first_at: at(60),
    });
    expect(await decided("opened")).toEqual([
      { discarded: "machine", machine: "prefetch", reclassified: null },
      { discarded: null, machine: null, reclassified: null },
    ]);
    expect(await told("email.open")).toHaveLength(1);
  });

  test("an open that SES takes for a machine's is one; when only one of two accounts says so, in either order", async () => {
    const open = (detail: object) => sesEvent("Open", { after: 60, detail: { ...person, ...detail } });
    for (const batches of [
      [[{}, { isBotEvent: "Likely" }]],
      [[{ isBotEvent: "Likely" }], [{}]],
      [[{}], [{ isBotEvent: "Likely" }]],
    ]) {
      await database.db.query("truncate activity, events, batches, notifications");
      for (const batch of batches) await apply(service, ...batch.map(open));

      expect(await activity()).toMatchObject({ open_count: 0, opened_any_first_at: at(60) });
      expect(await decided("opened")).toMatchObject([{ discarded: "machine", machine: "aws" }]);
    }
  });

  test("clicks that are one act count once, whichever arrives first", async () => {
    await apply(service, click(60.4));
    await apply(service, click(60), click(60.2));

    expect(await activity()).toMatchObject({ click_count: 1, clicked_first_at: at(60) });
    expect(await decided("clicked")).toEqual([
      { discarded: null, machine: null, reclassified: null },
      { discarded: "repeat", machine: null, reclassified: null },
      { discarded: "repeat", machine: null, reclassified: true },
    ]);
    expect(await told("email.click")).toHaveLength(2);
  });

  test("of a project that does not tell them apart count", async () => {
    await setProjectRules(database.db, defaultProjectId, { machineFilter: false });

    await apply(service, delivery(2), click(4));

    expect(await activity()).toMatchObject({ click_count: 1, clicked_first_at: at(4) });
    expect(await decided("clicked")).toEqual([{ discarded: null, machine: null, reclassified: null }]);
    expect(await told("email.click")).toHaveLength(1);
  });
});

describe("suppressions", () => {
  const bounce = (messageId: string, options: SesOptions = {}) =>
    sesEvent("Bounce", { messageId, ...options });

  test("a permanent bounce suppresses the address, and is told once", async () => {
    await apply(service, bounce("one", { to: ["Jane@EXAMPLE.com"], after: 9 }));
    await apply(service, bounce("two", { to: ["jane@example.com"], after: 50 }));

    expect(await suppressions()).toEqual([{ address: "jane@example.com", reason: "bounce", since: at(9) }]);
    expect(await sources()).toEqual([{ type: "bounced", occurred_at: at(9) }]);
    const [event] = await database.db.query<{ id: string; owner_id: string }>(
      "select id, owner_id from events order by occurred_at limit 1",
    );
    expect(await told("suppression.added")).toEqual([
      {
        event: "suppression.added",
        timestamp: expect.any(String),
        project_id: defaultProjectId,
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
    expect(await told("email.bounce")).toHaveLength(2);
  });

  test("is owed to the endpoints that subscribed to it, and to no other", async () => {
    const subscribed = randomUUID();
    const [suppressionUrl, bounceUrl] = ["https://a.example.org/", "https://b.example.org/"];
    await database.db.query("delete from webhook_endpoints");
    await database.db.query(
      `insert into webhook_endpoints (project_id, id, url, event_types)
       values ($1, $2, $3, '{suppression.added}'), ($1, $4, $5, '{email.bounce}')`,
      [defaultProjectId, subscribed, suppressionUrl, randomUUID(), bounceUrl],
    );

    await apply(service, bounce("one"));

    const owed = await database.db.query("select endpoint_id from deliveries where event_type = $1", [
      "suppression.added",
    ]);
    expect(owed).toEqual([{ endpoint_id: subscribed }]);
  });

  test("two bounces of an address in one batch are told once, of the earlier", async () => {
    await apply(service, bounce("late", { after: 60 }), bounce("early", { after: 30 }));

    expect(await suppressions()).toEqual([{ address: "jane@example.com", reason: "bounce", since: at(30) }]);
    expect(await told("suppression.added")).toMatchObject([{ data: { message_id: "early" } }]);
  });

  test("the earliest event stands, whichever arrived first", async () => {
    await apply(service, bounce("one", { after: 60 }));
    await apply(service, sesEvent("Complaint", { messageId: "two", after: 30 }));
    await apply(service, sesEvent("Complaint", { messageId: "three", after: 90 }));

    expect(await suppressions()).toEqual([
      { address: "jane@example.com", reason: "complaint", since: at(30) },
    ]);
    expect(await sources()).toEqual([{ type: "complained", occurred_at: at(30) }]);
    expect(await told("suppression.added")).toHaveLength(1);
  });

  test("what SES held back itself is recorded, and told as a bounce alone", async () => {
    await apply(service, bounce("one", { detail: { bounceSubType: "OnAccountSuppressionList" } }));

    expect(await suppressions()).toHaveLength(1);
    expect(await told("suppression.added")).toEqual([]);
    expect(await told("email.bounce")).toHaveLength(1);
  });

  test.each<[string, SesPayload]>([
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
  ])("%s suppresses nobody", async (_name, payload) => {
    await apply(service, payload);

    expect(
      await database.db.query("select type from events where type in ('bounced', 'complained')"),
    ).not.toEqual([]);
    expect(await suppressions()).toEqual([]);
    expect(await told("suppression.added")).toEqual([]);
  });

  test("eight batches at the same time, in opposite orders, are all applied, and tell of each address once", async () => {
    const people = Array.from({ length: 20 }, (_, index) => `${index + 10}@example.com`);
    const batches = Array.from({ length: 8 }, (_, index) => {
      const payloads = people.map((to) => bounce(`${index} ${to}`, { to: [to], after: index }));
      return index % 2 === 0 ? payloads : payloads.toReversed();
    });

    await Promise.all(batches.map((payloads) => apply(service, ...payloads)));

    const applied = await database.db.query("select attempts from batches where applied_at is not null");
    expect(applied).toEqual(batches.map(() => ({ attempts: 1 })));
    expect(await suppressions()).toEqual(
      people.map((address) => ({ address, reason: "bounce", since: at(0) })),
    );
    const addresses = (await told("suppression.added")).map(({ data }) => data.recipient);
    expect(addresses.sort()).toEqual(people);
    expect(await told("email.bounce")).toHaveLength(160);
  });

  test("a suppression by hand stays as it is", async () => {
    await database.db.query(
      "insert into suppressions (project_id, address, reason, since) values ($1, 'jane@example.com', 'manual', $2)",
      [defaultProjectId, at(500)],
    );

    await apply(service, bounce("one", { after: 9 }));

    expect(await suppressions()).toEqual([{ address: "jane@example.com", reason: "manual", since: at(500) }]);
    expect(await told("suppression.added")).toEqual([]);
  });
});

describe("one bounce in two accounts", () => {
  const feedbackId = "0100019d27eaf33a-fc8e69e7-5bed-4235-a02a-d38429aee3a1-000000";
  const account = (recipient: object, more: object): SesPayload =>
    sesEvent("Bounce", {
      after: 5,
      detail: {
        ...{ feedbackId, bounceType: "Transient", bounceSubType: "General" },
        ...{ bouncedRecipients: [{ emailAddress: "jane@example.com", ...recipient }], ...more },
      },
    });
  const bare = account({}, { reportingMTA: "dns; a" });
  const full = account({ status: "4.4.7", diagnosticCode: "smtp; 451" }, {});

  test.each<[string, SesPayload[][]]>([
    ["the full one last", [[bare], [full]]],
    ["the full one first", [[full], [bare]]],
    ["in one batch", [[bare, full]]],
    ["in one batch, the full one first", [[full, bare]]],
  ])("is one event with all that is told, and no automatic reply: %s", async (_name, batches) => {
    for (const batch of batches) await apply(service, ...batch);

    expect(await database.db.query("select detail from events")).toEqual([
      {
        detail: {
          bounce_type: "Transient",
          bounce_subtype: "General",
          status_code: "4.4.7",
          diagnostic_code: "smtp; 451",
          reporting_mta: "dns; a",
          feedback_id: feedbackId,
        },
      },
    ]);
    expect(await activity()).toMatchObject({ current_status: "bounced_soft", bounced_at: at(5) });
  });

  const replies = () =>
    database.db.query("select detail -> 'auto_reply' as auto_reply from events where type = 'bounced'");

  test.each<[string, SesPayload[][]]>([
    ["after the delivery", [[delivery(2)], [bare]]],
    ["before the delivery", [[bare], [delivery(9)]]],
    ["with the delivery", [[bare, delivery(2)]]],
  ])("alone, the bare one is an automatic reply: %s", async (_name, batches) => {
    for (const batch of batches) await apply(service, ...batch);

    expect(await replies()).toEqual([{ auto_reply: true }]);
    expect(await activity()).toMatchObject({ current_status: "delivered", bounced_at: null });
  });

  test("alone and without a delivery, the bare one is a soft bounce", async () => {
    await apply(service, bare);

    expect(await replies()).toEqual([{ auto_reply: null }]);
    expect(await activity()).toMatchObject({ current_status: "bounced_soft", bounced_at: at(5) });
  });

  test("is an automatic reply no more when the full one follows", async () => {
    await apply(service, delivery(2), bare);
    await apply(service, full);

    expect(await replies()).toEqual([{ auto_reply: null }]);
    expect(await activity()).toMatchObject({ current_status: "delivered", bounced_at: at(5) });
  });

  test.each<[string, object, object]>([
    ["the poorer first", {}, { diagnosticCode: "smtp; 550" }],
    ["the richer first", { diagnosticCode: "smtp; 550" }, {}],
  ])("of which one lacks the diagnostic code keeps it, and is owed once: %s", async (_name, one, other) => {
    const permanent = { bounceType: "Permanent" };
    await apply(service, account(one, permanent));
    await apply(service, account(other, permanent));

    expect(await database.db.query("select detail ->> 'diagnostic_code' as code from events")).toEqual([
      { code: "smtp; 550" },
    ]);
    expect(await told("email.bounce")).toHaveLength(1);
    expect(await told("suppression.added")).toHaveLength(1);
    expect(await activity()).toMatchObject({ current_status: "bounced_hard", bounced_at: at(5) });
  });
});
