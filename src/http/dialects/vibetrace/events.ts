import { z } from "zod";
import { uuidOrNull } from "../../../domain/computed-id.ts";
import { trackEvents, trackOpen } from "../../../events/track-events.ts";
import { findRecipient, type Recipient } from "../../../storage/recipients.ts";
import { ApiError, type ErrorShape } from "../../errors.ts";
import {
  addressOrNull,
  defaulted,
  emailAddress,
  eventProperties,
  optional,
  pathText,
  storableText,
} from "../../fields.ts";
import { parseInput } from "../../read-request.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../../route.ts";

const eventTypes = [
  "update",
  "login",
  "generic",
  "confirmation",
  "open",
  "viewitem",
  "viewcategory",
  "search",
  "addtocart",
  "checkout",
];

const errorShape: ErrorShape = {
  name: "VibetraceError",
  schema: z.object({
    errors: z.array(z.object({ message: z.string(), description: z.string() })),
    request_id: z.string().optional(),
  }),
  body: ({ message, description = message, requestId }) => ({
    errors: [{ message, description }],
    ...(requestId && { request_id: requestId }),
  }),
};

const tag = "Vibetrace";

/** Vibetrace's `POST /v1/event` and `GET /v1/user/:email`. */
export function vibetraceRoutes(api: ApiContext): AnyRoute[] {
  return [track(api), profile(api)];
}

const User = z
  .object({
    email: optional(emailAddress),
    _id: optional(z.string().max(64, "is longer than an id")),
  })
  .refine(({ email, _id }) => email !== undefined || _id !== undefined, "must hold email or _id");

function track(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/event",
    scope: "events:write",
    tag,
    summary: "Report an event of a known person",
    description: `\`event\` has one of the fields ${eventTypes.join(", ")}. A \`generic\` event is named by its \`event_name\`. A repeated order confirmation gets the same response and counts once; so does an open by the same person within 20 minutes (OPEN_WINDOW_SECONDS).`,
    errorShape,
    maxBodyBytes: 512 * 1024,
    errors: { 404: "The user is unknown" },
    body: z.object({
      user: User,
      event: z
        .unknown()
        .optional()
        .meta({ description: 'One event type and its properties: `{"viewitem":{"sku":"A-1"}}`' }),
    }),
    answer: z.object({ results: z.object({ message: z.string(), email: z.string() }) }),
    async handle({ caller: { projectId }, body }) {
      const { type, name, properties } = readEvent(body.event);
      const { address } = await knownUser(api, projectId, body.user);
      const occurredAt = api.clock.now();
      const event = { email: address, name, properties, occurredAt };
      if (type === "open") await trackOpen(api, projectId, event);
      else await trackEvents(api, projectId, [event]);
      return {
        results: { message: "Event created", email: "Event was created for the specified user" },
      };
    },
  });
}

function profile({ db }: ApiContext): AnyRoute {
  return defineRoute({
    method: "get",
    path: "/v1/user/:email",
    scope: "events:read",
    tag,
    summary: "A person's profile",
    errorShape,
    params: z.object({ email: pathText }),
    answer: z.object({
      results: z.object({
        _id: z.string(),
        email: z.string(),
        attributes: z.record(z.string(), z.unknown()),
        created_at: z.string(),
        updated_at: z.string(),
      }),
    }),
    async handle({ caller, params }) {
      const address = addressOrNull(params.email);
      const found = address && (await findRecipient(db, caller.projectId, { address }));
      if (!found) throw userNotFound();
      const { id, address: email, attributes, created_at, updated_at } = found;
      const times = { created_at: created_at.toISOString(), updated_at: updated_at.toISOString() };
      return { results: { _id: id, email, attributes, ...times } };
    },
  });
}

function userNotFound(): ApiError {
  return new ApiError(404, "User not found", "This email does not exist in our database.");
}

type VibetraceEvent = { type: string; name: string; properties: Readonly<Record<string, unknown>> };

/** The type is also the name, except of a generic event, which has its own name and may be nested once. */
function readEvent(event: unknown): VibetraceEvent {
  if (!isObject(event) || Object.keys(event).length === 0) {
    const description = "Please send event information along with user";
    throw new ApiError(400, "Missing event information", description);
  }
  const [type = "", ...others] = Object.keys(event);
  if (others.length > 0) {
    throw new ApiError(400, "Several event types", "Please send one event type in a request");
  }
  if (!eventTypes.includes(type)) {
    throw new ApiError(400, "Unknown event type", `event must hold one of ${eventTypes.join(", ")}`);
  }
  const schema = z.object({ event: z.object({ [type]: eventProperties }) });
  const properties = parseInput(schema, { event: { [type]: event[type] ?? {} } }).event[type] ?? {};
  return { type, ...(type === "generic" ? genericEvent(properties) : { name: type, properties }) };
}

function genericEvent(given: Readonly<Record<string, unknown>>) {
  const { event_name, ...properties } = isObject(given["generic"]) ? given["generic"] : given;
  const { event_name: name } = parseInput(z.object({ event_name: defaulted(storableText(255), "generic") }), {
    event_name,
  });
  return { name, properties };
}

/** @throws ApiError 404 with Vibetrace's message, or 400 if `_id` and `email` belong to two people. */
async function knownUser(
  { db }: ApiContext,
  projectId: string,
  user: z.output<typeof User>,
): Promise<Recipient> {
  const id = uuidOrNull(user._id);
  if (user._id !== undefined && id === null) throw userNotFound();
  const by = id === null ? { address: user.email ?? "" } : { id };
  const found = await findRecipient(db, projectId, by);
  if (found === null) throw userNotFound();
  if (user.email !== undefined && user.email !== found.address) {
    throw new ApiError(400, "Conflicting user information", "_id and email belong to different users");
  }
  return found;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
