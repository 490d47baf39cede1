import { z } from "zod";
import { isoOrNull } from "../../answers.ts";
import type { ErrorShape } from "../../errors.ts";
import { timeWithMicroseconds, uuid } from "../../fields.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../../route.ts";
import { activitiesOfSendStatus, type SendStatus, sendStatus, sendStatuses } from "./send-status.ts";
import { type Send, sendsByChange, sendsByCreation } from "./sends.sql.ts";

const codes: Readonly<Record<number, string>> = {
  400: "invalid_request",
  401: "unauthorized",
  403: "forbidden",
  404: "not_found",
  429: "rate_limited",
  503: "unavailable",
};

const errorShape: ErrorShape = {
  name: "SmartcqError",
  schema: z.object({
    error: z.object({ code: z.string(), message: z.string(), request_id: z.string().optional() }),
  }),
  body: ({ status, message, requestId }) => ({
    error: { code: codes[status] ?? "internal_error", message, ...(requestId && { request_id: requestId }) },
  }),
};

const limitMessage = "must be a whole number from 1 to 500";
const limit = z
  .string()
  .regex(/^\d{1,3}$/, limitMessage)
  .transform(Number)
  .refine((count) => count >= 1 && count <= 500, limitMessage)
  .default(100)
  .meta({ type: "integer", minimum: 1, maximum: 500, default: 100 });

const timestamp = z.string().nullable();
const Sent = z.object({
  id: z.string(),
  campaignId: z.string().nullable(),
  contactId: z.string().nullable(),
  status: z.enum(sendStatuses),
  sentAt: timestamp,
  deliveredAt: timestamp,
  openedAt: timestamp,
  clickedAt: timestamp,
  error: z.string().nullable(),
  createdAt: z.string(),
});

/** SmartCQ's `GET /api/v1/sends`. */
export function smartcqRoutes({ db }: ApiContext): AnyRoute[] {
  return [
    defineRoute({
      method: "get",
      path: "/api/v1/sends",
      scope: "sends:read",
      tag: "SmartCQ",
      summary: "Sends for polling, the oldest first",
      description:
        "Poll with `since` = the last `next`: no send is missed or repeated. Sends with the same time as a page's last one are on that page, so it can be longer than `limit`. With `cursorBy=updated`, sends are returned again after each change.",
      errorShape,
      query: z.object({
        limit,
        since: timeWithMicroseconds.optional(),
        campaignId: uuid.optional(),
        status: z.enum(sendStatuses, `must be one of ${sendStatuses.join(", ")}`).optional(),
        cursorBy: z.enum(["created", "updated"], "must be created or updated").default("created"),
      }),
      answer: z.object({ data: z.array(Sent), next: timestamp }),
      async handle({ caller, query }) {
        const { since, campaignId, status } = query;
        const conditions = status && activitiesOfSendStatus(status);
        const list = query.cursorBy === "created" ? sendsByCreation : sendsByChange;
        const rows = await list(
          db,
          { projectId: caller.projectId, since, campaignId, conditions },
          query.limit,
        );
        return { data: eachOnce(rows).map(present), next: rows.at(-1)?.place ?? null };
      },
    }),
  ];
}

/** Each send once, at the place of its last change. */
function eachOnce(rows: readonly Send[]): Send[] {
  return [...new Map(rows.toReversed().map((row) => [row.id, row])).values()].reverse();
}

function present(row: Send): z.input<typeof Sent> {
  const status = sendStatus(row);
  return {
    id: row.tagged_id ?? row.id,
    campaignId: row.campaign_id,
    contactId: row.recipient_id,
    status,
    sentAt: isoOrNull(row.sent_at),
    deliveredAt: isoOrNull(row.delivered_at),
    openedAt: isoOrNull(row.opened_first_at),
    clickedAt: isoOrNull(row.clicked_first_at),
    error: errorOf(status, row),
    createdAt: row.created_at.toISOString(),
  };
}

function errorOf(status: SendStatus, { current_status }: Send): string | null {
  switch (status) {
    case "bounced":
      return current_status === "bounced_hard" ? "Permanent bounce" : "Transient bounce";
    case "failed":
      return "Rejected, or its template could not be filled";
    case "suppressed":
      return "The address is on the suppression list";
    case "complained":
      return "The recipient complained";
    default:
      return null;
  }
}
