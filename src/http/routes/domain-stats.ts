import { z } from "zod";
import { dayMs } from "../../domain/time-text.ts";
import { period, tenantName } from "../fields.ts";
import { type AnyRoute, type ApiContext, defineRoute } from "../route.ts";
import { type DomainStats, domainStats } from "./domain-stats.sql.ts";

const usualDays = 30;

/** `GET /v1/domain-stats`. */
export function domainStatsRoutes({ db, clock }: ApiContext): AnyRoute[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/domain-stats",
      scope: "activity:read",
      tag: "Activity",
      summary: "Delivery statistics per sender domain",
      description: `Without tests. \`since\` and \`until\` are inclusive; default: the last ${usualDays} days. Up to 1,000 domains, the largest senders first.`,
      query: z.object({ ...period, tenant_name: tenantName.optional() }),
      answer: z.object({
        success: z.literal(true),
        since: z.string(),
        until: z.string(),
        data: z.array(
          z.object({
            domain: z.string().nullable(),
            total_sent: z.number().meta({ description: "Emails that SES accepted" }),
            total_delivered: z.number(),
            hard_bounced: z.number(),
            soft_bounced: z.number().meta({ description: "Soft bounces without a later delivery" }),
            complained: z.number(),
            unique_opens: z.number(),
            unique_clicks: z.number(),
            hard_bounce_rate: z.number().meta({ description: "In percent of total_sent, two decimals" }),
          }),
        ),
      }),
      async handle({ caller: { projectId }, query }) {
        const until = query.until ?? clock.now();
        const since = query.since ?? new Date(until.getTime() - usualDays * dayMs);
        const domains = await domainStats(db, { projectId, since, until, tenantName: query.tenant_name });
        const range = { since: since.toISOString(), until: until.toISOString() };
        return { success: true as const, ...range, data: domains.map(withRate) };
      },
    }),
  ];
}

function withRate(stats: DomainStats) {
  const percent = stats.total_sent === 0 ? 0 : (100 * stats.hard_bounced) / stats.total_sent;
  return { ...stats, hard_bounce_rate: Math.round(percent * 100) / 100 };
}
