import { expect } from "vitest";
import { projectTest, type TestProject } from "../support/project-test.ts";
import { type SesPayload, sesEvent } from "../support/ses.ts";

const test = projectTest({ roles: { receiver: true, workers: false } });

const feedbackId = "0100019fa2000000-5d2c6c1e-0000-4000-8000-000000000041-000000";
const copy = (type: string, timestamp: string, format = "eventType"): SesPayload => {
  const { eventType, ...rest } = sesEvent(type, { detail: { feedbackId, timestamp } });
  return { [format]: eventType, ...rest };
};

async function seen({ get, select }: TestProject) {
  const events = await select<{ id: string }>("select id from events order by id");
  const [row] = await select<{ id: string }>("select id, complained_at, bounced_at from activity");
  const shown = (await (await get(`/v1/activity/${row?.id}?include=events`)).json()) as {
    data: { events: { id: string; event_timestamp: string }[] };
  };
  const alone = await Promise.all(
    events.map(async ({ id }) => {
      const { data } = (await (await get(`/v1/events/${id}`)).json()) as {
        data: { timestamp: string };
      };
      return data.timestamp;
    }),
  );
  const [webhooks] = await select(
    "select count(*)::int as count from deliveries where event_type like 'email.%'",
  );
  return { row, timeline: shown.data.events.map(({ event_timestamp }) => event_timestamp), alone, webhooks };
}

test.for<[string, string[]]>([
  ["Complaint", ["2026-10-05T07:40:00.101Z", "2026-10-05T07:40:00.000Z"]],
  ["Complaint", ["2026-10-05T07:40:00.000Z", "2026-10-05T07:40:00.101Z"]],
  ["Bounce", ["2026-11-01T00:00:00.000Z", "2026-10-31T23:59:59.900Z", "2026-11-02T00:00:00.000Z"]],
])(
  "a %s told with the times %j is one event with the earliest, found by its id, and one webhook",
  async ([type, times], { project }) => {
    await project.addEndpoint("http://127.0.0.1:9/hook");
    for (const [place, time] of times.entries())
      await project.apply(copy(type, time, place === 0 ? "eventType" : "notificationType"));

    const earliest = times.toSorted()[0];
    expect(await seen(project)).toMatchObject({
      row: { [type === "Bounce" ? "bounced_at" : "complained_at"]: new Date(earliest ?? "") },
      timeline: [earliest],
      alone: [earliest],
      webhooks: { count: 1 },
    });
  },
);
