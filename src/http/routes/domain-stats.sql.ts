import type { Database } from "../../storage/database.ts";

/** Delivery statistics of a sender domain. */
export type DomainStats = {
  domain: string | null;
  total_sent: number;
  total_delivered: number;
  hard_bounced: number;
  soft_bounced: number;
  complained: number;
  unique_opens: number;
  unique_clicks: number;
};

/** @property since, until of `created_at`; both inclusive. */
export type StatsFilter = { projectId: string; since: Date; until: Date; tenantName?: string | undefined };

const maxDomains = 1_000;

/**
 * Emails by sender domain, without tests, largest sender first. Sent emails are those that SES accepted and did not hold
 * back; bounced ones were not delivered later. A complaint that could be of any of several recipients counts once.
 */
export async function domainStats(
  db: Database,
  { projectId, since, until, tenantName }: StatsFilter,
): Promise<DomainStats[]> {
  return db.query<DomainStats>(
    `select sender_domain as domain,
       (count(*) filter (where current_status not in ('queued', 'failed', 'suppressed')
          or delivered_at is not null or opened_first_at is not null or clicked_first_at is not null
         ))::integer as total_sent,
       count(delivered_at)::integer as total_delivered,
       (count(*) filter (where current_status = 'bounced_hard'))::integer as hard_bounced,
       (count(*) filter (where current_status = 'bounced_soft'))::integer as soft_bounced,
       (count(complained_at) filter (where recipient_certain)
          + count(distinct message_id) filter (where complained_at is not null and not recipient_certain)
         )::integer as complained,
       count(opened_first_at)::integer as unique_opens,
       count(clicked_first_at)::integer as unique_clicks
     from activity
     where project_id = $1 and not is_test
       and ($4::text is null or tenant_name = $4)
       and created_at >= $2 and created_at < $3::timestamptz + interval '1 millisecond'
     group by sender_domain order by total_sent desc, sender_domain limit ${maxDomains}`,
    [projectId, since, until, tenantName ?? null],
  );
}
