import { z } from "zod";
import { isTestAddress } from "../../domain/address.ts";
import {
  countListed,
  type ListedSuppression,
  listSuppressions,
  type SuppressionFilter,
} from "../../storage/suppressions.ts";
import { rememberEstimates } from "../../storage/totals.ts";
import { liftSuppression, suppressByHand } from "../../suppressions/suppression-list.ts";
import { csvOf, csvQuery } from "../csv.ts";
import { ApiError } from "../errors.ts";
import {
  addressOrNull,
  defaulted,
  optional,
  pathText,
  personAddress,
  queriedAddress,
  tenantName,
} from "../fields.ts";
import { listAnswer, pageAnswer, pageOf, pagingQuery, placeOfNewest } from "../paging.ts";
import { type AnyRoute, type ApiContext, defineCsvRoute, defineRoute } from "../route.ts";

const maxAddresses = 1_000;
const tag = "Suppressions";
const reasons = ["bounce", "complaint", "manual"] as const;
const reason = z.enum(reasons, `must be one of ${reasons.join(", ")}`);

const SuppressionView = z.object({
  email: z.string(),
  reason: z.enum(reasons),
  since: z.string().meta({
    description: "When the bounce or complaint happened, or when the address was suppressed by hand",
  }),
  source_event_id: z.string().nullable(),
  created_at: z.string(),
  tenant_name: z
    .string()
    .nullable()
    .meta({ description: "The only SES tenant that it applies to; null: the whole project" }),
});
const filters = {
  email: queriedAddress.optional(),
  reason: reason.optional(),
  tenant_name: tenantName.optional().meta({
    description: "The list of this SES tenant; `*`: all lists; default: the list of the project",
  }),
};

/** `/v1/suppressions`: the addresses that must not be sent to. */
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
    query: z.object({ ...pagingQuery, ...filters }),
    answer: listAnswer(SuppressionView),
    handle({ caller: { projectId }, query }) {
      const filter = filterOf(projectId, query);
      const page = { rows: listSuppressions(db, filter, pageOf(query)), total: count(filter) };
      return pageAnswer(query, page, present, placeOfNewest);
    },
  });
}

function csv({ db }: ApiContext): AnyRoute {
  const columns = Object.keys(SuppressionView.shape);
  return defineCsvRoute({
    method: "get",
    path: "/v1/suppressions.csv",
    scope: "suppressions:read",
    tag,
    summary: "Suppressed addresses as CSV",
    query: z.object({ ...filters, ...csvQuery }),
    columns,
    rows({ caller: { projectId }, query }) {
      const filter = filterOf(projectId, query);
      return csvOf(columns, (page) => listSuppressions(db, filter, page), placeOfNewest, present, query);
    },
  });
}

function filterOf(
  projectId: string,
  { email, reason, tenant_name }: z.output<z.ZodObject<typeof filters>>,
): SuppressionFilter {
  return { projectId, address: email, reason, tenantName: tenant_name };
}

const address = personAddress.refine(
  (one) => !isTestAddress(one),
  "is an address of the mailbox simulator, which is never suppressed",
);

const more = {
  reason: defaulted(reason, "manual"),
  tenant_name: tenantName
    .refine((name) => name !== "*", "must be one tenant")
    .nullish()
    .meta({
      description:
        "Suppress for this SES tenant alone; default: the whole project. With a list, it applies to elements without one",
    }),
};

/** One address, or a list of them. */
const NewSuppressions = z
  .object({
    email: optional(address),
    ...more,
    suppressions: optional(
      z
        .array(z.object({ email: address, ...more }))
        .min(1, "must hold at least one address")
        .max(maxAddresses, `must hold at most ${maxAddresses} addresses`),
    ),
  })
  .transform(({ email, reason, tenant_name = null, suppressions }, issues) => {
    if (suppressions !== undefined && email === undefined)
      return suppressions.map((one) => ({ ...one, tenant_name: one.tenant_name ?? tenant_name }));
    if (email !== undefined && suppressions === undefined) return [{ email, reason, tenant_name }];
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
    description:
      "Addresses that are already suppressed stay as they are; the others send the webhook `suppression.added`.",
    maxBodyBytes: 1024 * 1024,
    body: NewSuppressions,
    status: 201,
    answer: z.object({
      success: z.literal(true),
      total: z.number(),
      added: z.number().meta({ description: "Addresses that were not suppressed before" }),
    }),
    async handle({ caller, body }) {
      const listed = body.map(({ email, ...one }) => ({ address: email, ...one }));
      const added = await suppressByHand(api, caller.projectId, listed);
      return { success: true as const, total: body.length, added };
    },
  });
}

/** With the address in the path, or in the query. */
function remove(api: ApiContext): AnyRoute[] {
  const shared = {
    method: "delete" as const,
    scope: "suppressions:write" as const,
    tag,
    description: "Whatever its reason. Sends the webhook `suppression.removed`.",
    answer: z.object({ success: z.literal(true), removed: z.literal(1) }),
  };
  const ofTenant = { tenant_name: tenantName.optional() };
  const lift = async (projectId: string, email: string, tenant: string | undefined) => {
    const address = addressOrNull(email);
    const isLifted = address !== null && (await liftSuppression(api, projectId, address, tenant ?? null));
    if (!isLifted) throw new ApiError(404, "This address is not suppressed");
    return { success: true as const, removed: 1 as const };
  };
  return [
    defineRoute({
      ...shared,
      path: "/v1/suppressions/:email",
      summary: "Lift the suppression of an address",
      params: z.object({ email: pathText }),
      query: z.object(ofTenant),
      handle: ({ caller, params, query }) => lift(caller.projectId, params.email, query.tenant_name),
    }),
    defineRoute({
      ...shared,
      path: "/v1/suppressions",
      summary: "Lift the suppression of the address in the query",
      errors: { 404: "The address is not suppressed" },
      query: z.object({ email: queriedAddress, ...ofTenant }),
      handle: ({ caller, query }) => lift(caller.projectId, query.email, query.tenant_name),
    }),
  ];
}

function present(row: ListedSuppression): z.input<typeof SuppressionView> {
  return {
    email: row.address,
    reason: row.reason,
    since: row.since.toISOString(),
    source_event_id: row.source_event_id,
    created_at: row.created_at.toISOString(),
    tenant_name: row.tenant_name,
  };
}
