import { request } from "undici";
import { z } from "zod";

const ListedActivity = z.object({ id: z.string(), open_count: z.number(), click_count: z.number() });
const List = z.object({ data: z.array(ListedActivity) });
const Detail = z.object({
  data: z.object({
    id: z.string(),
    subject: z.string().nullable(),
    recipient_primary: z.string(),
    current_status: z.string(),
    events: z.array(
      z.object({
        event_type: z.string(),
        event_timestamp: z.string(),
        url_clicked: z.string().nullable(),
        bounce_type: z.string().nullable(),
        bounce_subtype: z.string().nullable(),
        discarded: z.string().optional(),
      }),
    ),
  }),
});

export type Timeline = z.infer<typeof Detail>["data"];

/** Asks the API, as a customer would, for the liveliest email and all that happened to it. */
export async function liveliestTimeline(baseUrl: string, apiKey: string): Promise<Timeline | null> {
  const list = List.parse(await ask(`${baseUrl}/v1/activity?status=clicked&per_page=200`, apiKey));
  const [liveliest] = list.data.toSorted((one, other) => score(other) - score(one));
  if (!liveliest) return null;
  const detail = await ask(`${baseUrl}/v1/activity/${liveliest.id}?include=events,discarded`, apiKey);
  return Detail.parse(detail).data;
}

/** One line for each event. */
export function timelineRows({ events }: Timeline): string[][] {
  return events.map((event) => {
    const bounce = [event.bounce_type, event.bounce_subtype].filter((part) => part !== null).join("/");
    const note = event.discarded ? `discarded: ${event.discarded}` : (event.url_clicked ?? bounce);
    return [event.event_timestamp.replace(/\.\d+Z$/, "Z"), event.event_type, note];
  });
}

/** A person both opens and clicks; a link scanner only clicks. */
function score({ open_count, click_count }: z.infer<typeof ListedActivity>): number {
  return Math.min(open_count, 2) * 10 + click_count;
}

async function ask(url: string, apiKey: string): Promise<unknown> {
  const { statusCode, body } = await request(url, { headers: { authorization: `Bearer ${apiKey}` } });
  const text = await body.text();
  if (statusCode !== 200) throw new Error(`${url} answered ${statusCode}: ${text.slice(0, 200)}`);
  return JSON.parse(text);
}
