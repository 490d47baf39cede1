import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { apply } from "../support/apply.ts";
import { type TestDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/endpoint.ts";
import { startTestService, type TestService } from "../support/service.ts";
import { type SesPayload, sesEvent } from "../support/ses.ts";

let database: TestDatabase;
let service: TestService;

beforeAll(async () => {
  database = await testDatabase();
  service = await startTestService({ databaseUrl: database.url, roles: { receiver: true, workers: false } });
});
beforeEach(async () => {
  await database.empty();
  await addEndpoint(service.context, "http://127.0.0.1:9/hook");
});
afterAll(async () => {
  await service?.close();
  await database?.drop();
});

const feedbackId = "0100019fa2000000-5d2c6c1e-0000-4000-8000-000000000041-000000";
const copy = (type: string, timestamp: string, format = "eventType"): SesPayload => {
  const { eventType, ...rest } = sesEvent(type, { detail: { feedbackId, timestamp } });
  return { [format]: eventType, ...rest };
};

async function seen() {
  const events = await database.db.query<{ id: string }>("select id from events order by id");
  const [row] = await database.db.query<{ id: string }>("select id, complained_at, bounced_at from activity");
  const shown = (await (await service.get(`/v1/activity/${row?.id}?include=events`)).json()) as {
    data: { events: { id: string; event_timestamp: string }[] };
  };
  const alone = await Promise.all(
    events.map(async ({ id }) => {
      const { data } = (await (await service.get(`/v1/events/${id}`)).json()) as {
        data: { timestamp: string };
      };
      return data.timestamp;
    }),
  );
  const [webhooks] = await database.db.query(
    "select count(*)::int as count from deliveries where event_type like 'email.%'",
  );
  return { row, timeline: shown.data.events.map(({ event_timestamp }) => event_timestamp), alone, webhooks };
}

test.each([
  ["Complaint", ["2026-10-05T07:40:00.101Z", "2026-10-05T07:40:00.000Z"]],
  ["Complaint", ["2026-10-05T07:40:00.000Z", "2026-10-05T07:40:00.101Z"]],
  ["Bounce", ["2026-11-01T00:00:00.000Z", "2026-10-31T23:59:59.900Z", "2026-11-02T00:00:00.000Z"]],
])(
  "a %s told with the times %j is one event with the earliest, found by its id, and one webhook",
  async (type, times) => {
    for (const [place, time] of times.entries())
      await apply(service, copy(type, time, place === 0 ? "eventType" : "notificationType"));

    const earliest = times.toSorted()[0];
    expect(await seen()).toMatchObject({
      row: { [type === "Bounce" ? "bounced_at" : "complained_at"]: new Date(earliest ?? "") },
      timeline: [earliest],
      alone: [earliest],
      webhooks: { count: 1 },
    });
  },
);
