import { z } from "zod";
import type { ApiContext } from "../api-context.ts";
import { tenantName, time, untilTime } from "../fields.ts";
import { type AnyRoute, defineRoute } from "../route.ts";
import { type DomainStats, domainStats } from "./domain-stats.sql.ts";

const usualDays = 30;
const dayMs = 86_400_000;

/** `GET /v1/domain-stats`. */
export function domainStatsRoutes({ db, clock }: ApiContext): AnyRoute[] {
  return [
    defineRoute({
      method: "get",
      path: "/v1/domain-stats",
      scope: "activity:read",
      tag: "Activity",
      summary: "What became of the emails of each sender's domain",
      description: `Without tests. \`since\` and \`until\` are inclusive; the last ${usualDays} days unless given. Up to 1,000 domains, those that send most first.`,
      params: z.object({}),
      query: z.object({
        since: time.optional(),
        until: untilTime.optional(),
        tenant_name: tenantName.optional(),
      }),
      answer: z.object({
        success: z.literal(true),
        since: z.string(),
        until: z.string(),
        data: z.array(
          z.object({
            domain: z.string().nullable(),
            total_sent: z.number().meta({ description: "Emails that SES took" }),
            total_delivered: z.number(),
            hard_bounced: z.number(),
            soft_bounced: z.number().meta({ description: "Not delivered after all" }),
            complained: z.number(),
            unique_opens: z.number(),
            unique_clicks: z.number(),
            hard_bounce_rate: z.number().meta({ description: "Percent of total_sent, two decimals" }),
          }),
        ),
      }),
      async handle({ caller: { projectId }, query }) {
        const until = query.until ?? clock.now();
        const since = query.since ?? new Date(until.getTime() - usualDays * dayMs);
        const domains = await domainStats(db, { projectId, since, until, tenantName: query.tenant_name });
        const period = { since: since.toISOString(), until: until.toISOString() };
        return { success: true as const, ...period, data: domains.map(withRate) };
      },
    }),
  ];
}

function withRate(stats: DomainStats) {
  const percent = stats.total_sent === 0 ? 0 : (100 * stats.hard_bounced) / stats.total_sent;
  return { ...stats, hard_bounce_rate: Math.round(percent * 100) / 100 };
}
