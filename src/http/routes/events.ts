import { z } from "zod";
import { orderIdOf } from "../../domain/custom-event.ts";
import { type EventToTrack, type Guard, type TrackedEvent, trackEvents } from "../../events/track-events.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import { dataAnswer, foundById, withData } from "../answers.ts";
import {
  byId,
  defaulted,
  eventProperties,
  optional,
  pastTime,
  period,
  personAddress,
  queriedAddress,
  storableText,
} from "../fields.ts";
import { answerOnce, idempotencyHeaders } from "../idempotency.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineRoute, type Input } from "../route.ts";
import { CustomEventView, EmailEventView, presentCustomEvent, presentEmailEvent } from "./event-view.ts";
import { type CustomEventFilter, countCustomEvents, findEvent, listCustomEvents } from "./events.sql.ts";

const maxEvents = 1_000;
const maxOrderIdLength = 255;
const tag = "Events";
const keyReused = { 409: "The Idempotency-Key was used for another request" };

/** `/v1/events`: custom events, which a customer's own systems report, and every event by its id. */
export function eventRoutes(api: ApiContext): AnyRoute[] {
  return [trackOne(api), trackMany(api), list(api), detail(api)];
}

const newEvent = ({ clock }: ApiContext) =>
  z
    .object({
      email: personAddress,
      event: storableText(255).meta({ description: "The event's name, such as addtocart or confirmation" }),
      properties: defaulted(eventProperties, {}),
      timestamp: optional(pastTime(clock)).meta({ description: "When it happened; default: now" }),
    })
    .refine(({ event, properties }) => hasShortOrderId(event, properties), {
      path: ["properties", "orderId"],
      message: `is longer than ${maxOrderIdLength} characters`,
    });
type NewEvent = z.output<ReturnType<typeof newEvent>>;

function hasShortOrderId(name: string, properties: Readonly<Record<string, unknown>>): boolean {
  return (orderIdOf({ name, properties })?.length ?? 0) <= maxOrderIdLength;
}

function trackOne(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/events",
    scope: "events:write",
    tag,
    summary: "Report a custom event",
    description:
      "Creates the recipient if the address is new. If several events named `confirmation` have the same `orderId`, the first counts and the others are stored as discarded.",
    headers: idempotencyHeaders,
    // 64 KB of properties take six times as much if every character is escaped.
    maxBodyBytes: 512 * 1024,
    errors: keyReused,
    body: newEvent(api),
    status: 201,
    answer: z.object({
      success: z.literal(true),
      event_id: z.string(),
      recipient_id: z.string(),
      created_lead: z.boolean(),
      discarded: z.string().optional().meta({ description: "Why the event does not count" }),
      kept: z.string().optional().meta({ description: "The event that counts instead" }),
    }),
    handle: (input) => trackOnce(api, "/v1/events", input, [input.body], trackedAnswer),
  });
}

function trackMany(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/events/bulk",
    scope: "events:write",
    tag,
    summary: `Report up to ${maxEvents} custom events, all or none`,
    description:
      "An error names the element, as in `events[2].email is required`. The call counts as one request.",
    headers: idempotencyHeaders,
    maxBodyBytes: 16 * 1024 * 1024,
    errors: keyReused,
    body: z.object({
      events: z
        .array(newEvent(api))
        .min(1, "must hold at least one event")
        .max(maxEvents, `must hold at most ${maxEvents} events`),
    }),
    status: 201,
    answer: z.object({ success: z.literal(true), total: z.number(), created_leads: z.number() }),
    handle: (input) =>
      trackOnce(api, "/v1/events/bulk", input, input.body.events, (tracked) => ({
        success: true as const,
        total: tracked.length,
        created_leads: tracked.filter(({ isNewRecipient }) => isNewRecipient).length,
      })),
  });
}

/** Tracks the events of a request, unless its Idempotency-Key was answered before. */
async function trackOnce<Answer>(
  api: ApiContext,
  route: string,
  {
    caller: { projectId },
    body,
    headers,
    setHeader,
  }: Pick<Input, "caller" | "body" | "headers" | "setHeader">,
  events: readonly NewEvent[],
  answerOf: (tracked: readonly TrackedEvent[]) => Answer,
): Promise<Answer> {
  const key = headers["idempotency-key"];
  const track = (guard?: Guard) =>
    trackEvents(
      api,
      projectId,
      events.map((event) => toTrack(api, event)),
      guard,
    );
  const { answer, isRepeat } = await answerOnce(
    api.db,
    { projectId, key, route, body, status: 201 },
    track,
    answerOf,
  );
  if (isRepeat) setHeader("idempotency-replayed", "true");
  return answer;
}

function toTrack({ clock }: ApiContext, { email, event, properties, timestamp }: NewEvent): EventToTrack {
  return { email, name: event, properties, occurredAt: timestamp ?? clock.now() };
}

function trackedAnswer([event]: readonly TrackedEvent[]) {
  if (event === undefined) throw new Error("unreachable: one event was tracked");
  return {
    success: true as const,
    event_id: event.eventId,
    recipient_id: event.recipientId,
    created_lead: event.isNewRecipient,
    ...(event.discarded !== null && { discarded: event.discarded }),
    ...(event.kept !== null && { kept: event.kept }),
  };
}

const listQuery = z.object({
  ...pagingQuery,
  email: queriedAddress.optional(),
  event: storableText(255).optional(),
  ...period,
  include: z.literal("discarded", "takes discarded").optional(),
});

function list({ db, clock }: ApiContext): AnyRoute {
  const count = rememberEstimates((filter: CustomEventFilter) => countCustomEvents(db, filter), clock.now);
  return defineRoute({
    method: "get",
    path: "/v1/events",
    scope: "events:read",
    tag,
    summary: "Custom events, the newest first",
    description:
      "`since` and `until` are inclusive. Discarded events are omitted unless `include=discarded`.",
    query: listQuery,
    answer: listAnswer(CustomEventView),
    handle({ caller: { projectId }, query }) {
      const { email, event: name, since, until, include } = query;
      const filter = { projectId, email, name, since, until, withDiscarded: include === "discarded" };
      const page = { rows: listCustomEvents(db, filter, pageOf(query)), total: count(filter) };
      return pageAnswer(query, page, presentCustomEvent, ({ occurred_at_exact, id }) => ({
        time: occurred_at_exact,
        id,
      }));
    },
  });
}

function detail({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/events/:id",
    scope: "events:read",
    tag,
    summary: "An event of an email, or a custom event",
    params: byId,
    answer: dataAnswer(z.union([CustomEventView, EmailEventView])),
    async handle({ caller, params }) {
      const find = (id: string) => findEvent(db, caller.projectId, id);
      const event = await foundById(params.id, find, "There is no event with this id");
      return withData(event.type === "custom" ? presentCustomEvent(event) : presentEmailEvent(event));
    },
  });
}
