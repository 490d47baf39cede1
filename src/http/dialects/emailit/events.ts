import { STATUS_CODES } from "node:http";
import { z } from "zod";
import { ApiError, type ErrorShape, errorMeanings } from "../../errors.ts";
import { byId, storableText } from "../../fields.ts";
import { pageNumber, pageSize } from "../../paging.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../../route.ts";
import { type FedEvent, type FeedFilter, feedEvents } from "./event-feed.sql.ts";
import { emailitName, namedTypes, typesOfEmailitName } from "./event-types.ts";
import { shortId, timeOfShortId } from "./short-id.ts";

const errorShape: ErrorShape = {
  name: "EmailitError",
  schema: z.object({
    statusCode: z.number(),
    error: z.string(),
    message: z.string(),
    request_id: z.string().optional(),
  }),
  body: ({ status: statusCode, message, requestId }) => ({
    statusCode,
    error: STATUS_CODES[statusCode] ?? "Error",
    message,
    ...(requestId && { request_id: requestId }),
  }),
};

const path = "/emailit/v1/events";
const tag = "Emailit";

const EmailitEvent = z.object({
  id: z.string().length(16),
  uuid: z.string(),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
  created_at: z.string(),
  updated_at: z.string(),
});

/** Emailit's `GET /v1/events`, below `/emailit`. */
export function emailitRoutes(api: ApiContext): AnyRoute[] {
  return [list(api), detail(api)];
}

function list({ db, config }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path,
    scope: "events:read",
    tag,
    summary: "Events of emails and custom events, the newest first",
    description:
      'Without discarded events and types that Emailit has no name for. As in Emailit\'s examples, the parameters may come as a JSON body instead: `{"per_page": 10, "filter[type]": "email.loaded"}`.',
    errorShape,
    queryInBody: true,
    errors: { 413: errorMeanings[413], 415: errorMeanings[415] },
    query: z.object({
      page: pageNumber,
      per_page: pageSize(25, 100),
      "filter[type]": storableText(255).optional(),
    }),
    answer: z.object({
      data: z.array(EmailitEvent),
      next_page_url: z.string().nullable(),
      previous_page_url: z.string().nullable(),
    }),
    async handle({ caller, query }) {
      const { page, per_page } = query;
      const type = query["filter[type]"];
      const filter = filterOf(caller.projectId, type);
      // One row more than requested shows whether there is a next page.
      const events = await feedEvents(db, filter, { limit: per_page + 1, offset: (page - 1) * per_page });
      const url = (number: number) => {
        const typed = type === undefined ? "" : `&filter[type]=${encodeURIComponent(type)}`;
        return `${config.publicUrl ?? ""}${path}?page=${number}&per_page=${per_page}${typed}`;
      };
      return {
        data: events.slice(0, per_page).map(present),
        next_page_url: events.length > per_page ? url(page + 1) : null,
        previous_page_url: page > 1 ? url(page - 1) : null,
      };
    },
  });
}

function detail({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: `${path}/:id`,
    scope: "events:read",
    tag,
    summary: "An event, by its id or uuid",
    errorShape,
    params: byId,
    answer: EmailitEvent,
    async handle({ caller, params: { id } }) {
      const time = timeOfShortId(id);
      const found = time === null ? null : await findEvent(caller.projectId, id, new Date(time));
      if (found === null) throw new ApiError(404, "There is no event with this id");
      return present(found);
    },
  });

  /** Few events share one moment: at most a batch of clicks or opens. */
  async function findEvent(projectId: string, id: string, occurredAt: Date): Promise<FedEvent | null> {
    const filter = { ...filterOf(projectId, undefined), occurredAt };
    const events = await feedEvents(db, filter, { limit: 10_000, offset: 0 });
    return events.find((event) => event.id === id.toLowerCase() || shortId(event.id) === id) ?? null;
  }
}

function filterOf(projectId: string, name: string | undefined): FeedFilter {
  if (name === undefined) return { projectId, types: [...namedTypes, "custom"] };
  const { types, isHardBounce } = typesOfEmailitName(name);
  if (types.length === 0) return { projectId, types: ["custom"], name };
  return { projectId, types, isHardBounce: isHardBounce ?? undefined };
}

function present(event: FedEvent): z.input<typeof EmailitEvent> {
  return {
    id: shortId(event.id),
    uuid: event.id,
    type:
      event.type === "custom"
        ? event.name
        : (emailitName(event.type, event.detail.bounce_type) ?? event.type),
    data: event.type === "custom" ? customData(event) : emailData(event),
    created_at: event.occurred_at,
    updated_at: event.recorded_at,
  };
}

function customData({ recipient, recipient_id, properties }: Extract<FedEvent, { type: "custom" }>) {
  return { email: recipient, recipient_id, properties };
}

function emailData({ detail, ...event }: Exclude<FedEvent, { type: "custom" }>) {
  return {
    email: {
      id: event.activity_id,
      message_id: event.message_id,
      to: event.recipient,
      from: event.sender_email,
      subject: event.subject,
    },
    ip_address: detail.ip_address ?? null,
    user_agent: detail.user_agent ?? null,
    url: detail.url_clicked ?? null,
    bounce_type: detail.bounce_type ?? null,
    bounce_subtype: detail.bounce_subtype ?? null,
    diagnostic: detail.diagnostic_code ?? detail.smtp_response ?? null,
  };
}
