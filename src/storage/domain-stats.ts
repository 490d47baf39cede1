import type { Database } from "./database.ts";

/** What became of the emails of a sender's domain. */
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

const maxDomains = 1_000;

/**
 * Emails by the domain of their sender, tests left out, the domains that send most first. Sent are those that SES
 * took; bounced those that stayed so.
 * @param since, until inclusive, of the time of the first record.
 */
export async function domainStats(
  db: Database,
  { projectId, since, until }: { projectId: string; since: Date; until: Date },
): Promise<DomainStats[]> {
  return db.query<DomainStats>(
    `select sender_domain as domain,
       (count(*) filter (where current_status not in ('queued', 'failed', 'suppressed')))::integer as total_sent,
       count(delivered_at)::integer as total_delivered,
       (count(*) filter (where current_status = 'bounced_hard'))::integer as hard_bounced,
       (count(*) filter (where current_status = 'bounced_soft'))::integer as soft_bounced,
       count(complained_at)::integer as complained,
       count(opened_first_at)::integer as unique_opens,
       count(clicked_first_at)::integer as unique_clicks
     from activity
     where project_id = $1 and not is_test
       and created_at >= $2 and created_at < $3::timestamptz + interval '1 millisecond'
     group by sender_domain order by total_sent desc, sender_domain limit ${maxDomains}`,
    [projectId, since, until],
  );
}
