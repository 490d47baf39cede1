import { z } from "zod";
import { isTestAddress } from "../../domain/address.ts";
import { liftSuppression, suppressByHand } from "../../people/suppression-list.ts";
import {
  countListed,
  type ListedSuppression,
  listSuppressions,
  type SuppressionFilter,
} from "../../storage/suppression-list.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import type { ApiContext } from "../api-context.ts";
import { csvOf } from "../csv.ts";
import { ApiError } from "../errors.ts";
import { addressOrNull, defaulted, optional, pathText, personAddress, queriedAddress } from "../fields.ts";
import { Pagination, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, defineCsvRoute, defineRoute } from "../route.ts";

const maxAddresses = 1_000;
const tag = "Suppressions";
const reasons = ["bounce", "complaint", "manual"] as const;
const reason = z.enum(reasons, `must be one of ${reasons.join(", ")}`);

const Suppression = z.object({
  email: z.string(),
  reason: z.enum(reasons),
  since: z
    .string()
    .meta({ description: "When the event happened that says so, or when it was listed by hand" }),
  source_event_id: z.string().nullable(),
  created_at: z.string(),
});
const filters = { email: queriedAddress.optional(), reason: reason.optional() };

/** `/v1/suppressions`: the addresses that are not to be written to. */
export function suppressionRoutes(api: ApiContext): AnyRoute[] {
  return [list(api), csv(api), add(api), ...remove(api)];
}

function list({ db, clock }: ApiContext): AnyRoute {
  const count = rememberEstimates((filter: SuppressionFilter) => countListed(db, filter), clock.now);
  return defineRoute({
    method: "get",
    path: "/v1/suppressions",
    scope: "suppressions:read",
    tag,
    summary: "Suppressed addresses, the newest first",
    params: z.object({}),
    query: z.object({ ...pagingQuery, ...filters }),
    answer: z.object({ success: z.literal(true), data: z.array(Suppression), pagination: Pagination }),
    async handle({ caller: { projectId }, query }) {
      const filter = { projectId, address: query.email, reason: query.reason };
      const page = await Promise.all([listSuppressions(db, filter, pageOf(query)), count(filter)]);
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

function csv({ db }: ApiContext): AnyRoute {
  const columns = Object.keys(Suppression.shape);
  return defineCsvRoute({
    method: "get",
    path: "/v1/suppressions.csv",
    scope: "suppressions:read",
    tag,
    summary: "Suppressed addresses as CSV",
    params: z.object({}),
    query: z.object(filters),
    columns,
    rows({ caller: { projectId }, query }) {
      const filter = { projectId, address: query.email, reason: query.reason };
      return csvOf(columns, (page) => listSuppressions(db, filter, page), placeOfNewest, present);
    },
  });
}

const address = personAddress.refine(
  (one) => !isTestAddress(one),
  "is an address of the mailbox simulator, which is never suppressed",
);

/** One address, or a list of them. */
const NewSuppressions = z
  .object({
    email: optional(address),
    reason: defaulted(reason, "manual"),
    suppressions: optional(
      z
        .array(z.object({ email: address, reason: defaulted(reason, "manual") }))
        .min(1, "must hold at least one address")
        .max(maxAddresses, `must hold at most ${maxAddresses} addresses`),
    ),
  })
  .transform(({ email, reason, suppressions }, issues) => {
    if (suppressions !== undefined && email === undefined) return suppressions;
    if (email !== undefined && suppressions === undefined) return [{ email, reason }];
    issues.addIssue({
      code: "custom",
      path: ["email"],
      message: "or suppressions is required, and not both",
    });
    return z.NEVER;
  });

function add(api: ApiContext): AnyRoute {
  return defineRoute({
    method: "post",
    path: "/v1/suppressions",
    scope: "suppressions:write",
    tag,
    summary: `Suppress an address, or up to ${maxAddresses}, all or none`,
    description: "An address that is suppressed stays as it is. Webhook `suppression.added` for the others.",
    params: z.object({}),
    query: z.object({}),
    maxBodyBytes: 1024 * 1024,
    body: NewSuppressions,
    status: 201,
    answer: z.object({
      success: z.literal(true),
      total: z.number(),
      added: z.number().meta({ description: "How many were not suppressed before" }),
    }),
    async handle({ caller, body }) {
      const listed = body.map(({ email, reason }) => ({ address: email, reason }));
      const added = await suppressByHand(api, caller.projectId, listed);
      return { success: true as const, total: body.length, added };
    },
  });
}

/** The address in the path or in the query. */
function remove(api: ApiContext): AnyRoute[] {
  const shared = {
    method: "delete" as const,
    scope: "suppressions:write" as const,
    tag,
    description: "Whatever it came from. Webhook `suppression.removed`.",
    answer: z.object({ success: z.literal(true), removed: z.literal(1) }),
  };
  const lift = async (projectId: string, email: string) => {
    const address = addressOrNull(email);
    const isLifted = address !== null && (await liftSuppression(api, projectId, address));
    if (!isLifted) throw new ApiError(404, "This address is not suppressed");
    return { success: true as const, removed: 1 as const };
  };
  return [
    defineRoute({
      ...shared,
      path: "/v1/suppressions/:email",
      summary: "Lift the suppression of an address",
      params: z.object({ email: pathText }),
      query: z.object({}),
      handle: ({ caller, params }) => lift(caller.projectId, params.email),
    }),
    defineRoute({
      ...shared,
      path: "/v1/suppressions",
      summary: "Lift the suppression of the address in the query",
      errors: { 404: "The address is not suppressed" },
      params: z.object({}),
      query: z.object({ email: queriedAddress }),
      handle: ({ caller, query }) => lift(caller.projectId, query.email),
    }),
  ];
}

function present(row: ListedSuppression): z.input<typeof Suppression> {
  return {
    email: row.address,
    reason: row.reason,
    since: row.since.toISOString(),
    source_event_id: row.source_event_id,
    created_at: row.created_at.toISOString(),
  };
}
