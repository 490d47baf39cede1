import type { Database } from "../src/storage/database.ts";
import { type Partitions, partitionsOf } from "../src/storage/partitions.ts";

const dayMs = 86_400_000;
const days = 90;
const emailsPerAddress = 10;
/** A statement may take a minute; this many rows take a few seconds. */
const emailsPerStatement = 50_000;

/** What `insertEmails` makes. */
export type Mailing = {
  projectId: string;
  emails: number;
  /** The newest email's time; the others are spread evenly over the 90 days before it. */
  until: Date;
};

/**
 * Writes 90 days of a shop's emails, ten per address, with three events each: sent; delivered, or delayed; and opened, or of
 * each hundred seven clicked, two bounced and one complained about. The same numbers make the same rows.
 */
export async function insertEmails(
  db: Database,
  mailing: Mailing,
  onProgress: (written: number) => void,
): Promise<void> {
  const partitions = partitionsOf(db);
  await ensurePartitions(partitions, mailing);
  for (let from = 0; from < mailing.emails; from += emailsPerStatement) {
    const to = Math.min(from + emailsPerStatement, mailing.emails);
    await insertBetween(db, mailing, from, to - 1);
    onProgress(to);
  }
  for (const table of ["activity", "events"]) await db.query(`vacuum analyze ${table}`);
}

/** Suppresses the addresses of a mailing that bounced or complained. */
export async function insertSuppressions(db: Database, { projectId }: Mailing): Promise<void> {
  await db.query(
    `insert into suppressions (project_id, address, reason, since, created_at)
     select project_id, recipient, case when bounced_at is null then 'complaint' else 'bounce' end,
       updated_at, updated_at
     from activity where project_id = $1 and (bounced_at is not null or complained_at is not null)
     on conflict do nothing`,
    [projectId],
  );
  await db.query("vacuum analyze suppressions");
}

/** Opens happen up to a day after the email. */
function ensurePartitions(partitions: Partitions, { until }: Mailing): Promise<void> {
  const times = Array.from({ length: days + 2 }, (_, day) => new Date(until.getTime() + (1 - day) * dayMs));
  return partitions.ensure("events", times);
}

/** The emails of these numbers, the last one included. */
async function insertBetween(db: Database, mailing: Mailing, from: number, to: number): Promise<void> {
  const { projectId, emails, until } = mailing;
  const addresses = Math.ceil(emails / emailsPerAddress);
  const startMs = until.getTime() - days * dayMs;
  const stepMs = (days * dayMs) / emails;
  const params = [projectId, from, to, addresses, new Date(startMs), stepMs];
  await db.query(`${drawn} insert into activity (${activityColumns}) select ${activity} from drawn`, params);
  // In arrival order: by time, so that one email's events are not adjacent.
  await db.query(
    `${drawn} insert into events (${eventColumns}) select ${events} from drawn, ${kinds} order by 3`,
    params,
  );
}

/** An id as the product computes it: 48 bits of time, the rest a hash. */
const idOf = (time: string, key: string) =>
  `(lpad(to_hex(floor(extract(epoch from ${time}) * 1000)::bigint), 12, '0') || '8' || substr(md5(${key}), 1, 3)
    || 'a' || substr(md5(${key}), 4, 15))::uuid`;
/** A pseudo-random number that depends only on n, in [0, `most`). */
const chance = (salt: string, most: string) => `(abs(hashtext('${salt}' || n)::bigint) % ${most})::integer`;

const drawn = `with drawn as (
  select *, ${idOf("sent_at", "'email' || n")} as id, md5('campaign' || n / 20000)::uuid as campaign_id,
    'reader.' || address_number || '@' || (array['example.com', 'example.net', 'mail.example.org'])[address_number % 3 + 1]
      as recipient,
    (array['shop.example.com', 'news.example.com', 'mail.example.net', 'example.org'])[${chance("sender", "4")} + 1]
      as sender_domain,
    (array['receipt', 'newsletter', 'reminder', 'welcome'])[${chance("type", "4")} + 1] as email_type,
    sent_at + ${chance("delivery", "20000")} * interval '1 millisecond' + interval '500 milliseconds' as delivered_at,
    sent_at + ${chance("open", "80000")} * interval '1 second' + interval '30 seconds' as opened_at,
    case when ${chance("outcome", "100")} < 2 then 'bounced' when ${chance("outcome", "100")} < 3 then 'complained'
      when ${chance("outcome", "100")} < 10 then 'clicked' else 'opened' end as outcome
  from (
    select n, ${chance("address", "$4::integer")} as address_number,
      $5::timestamptz + n * $6::double precision * interval '1 millisecond' as sent_at
    from generate_series($2::integer, $3::integer) as n) as numbered)`;

const activityColumns = `project_id, id, message_id, recipient, recipient_as_sent, sent_at, subject, sender_email,
  sender_name, sender_domain, email_type, campaign_id, automation_run_id, template_id, tags, is_test, current_status,
  delivered_at, bounced_at, complained_at, opened_first_at, opened_any_first_at, clicked_first_at, clicked_any_first_at,
  open_count, click_count, last_counted_open_at, last_counted_open_id, last_counted_click_at, recipient_certain, created_at, updated_at`;

const whenIt = (outcome: string, value = "opened_at") => `case when outcome = '${outcome}' then ${value} end`;

const activity = `$1::uuid, id,
  '0100' || lpad(to_hex(floor(extract(epoch from sent_at) * 1000)::bigint), 12, '0') || '-' || md5('message' || n)::uuid
    || '-000000',
  recipient, recipient, sent_at, 'Your order ' || 100000 + n || ': what happens next', 'hello@' || sender_domain,
  'The Example Shop', sender_domain, email_type, campaign_id,
  case when n % 3 = 0 then md5('run' || n / 500)::uuid end, md5('template' || n % 20)::uuid,
  jsonb_build_object(
    'ses:operation', '["SendEmail"]'::jsonb, 'ses:configuration-set', '["shop"]'::jsonb,
    'ses:source-ip', '["198.51.100.17"]'::jsonb, 'ses:from-domain', jsonb_build_array(sender_domain),
    'ses:caller-identity', '["mailer"]'::jsonb, 'ses:outgoing-ip', jsonb_build_array('203.0.113.' || n % 250),
    'campaign_id', jsonb_build_array(campaign_id), 'email_type', jsonb_build_array(email_type)),
  false,
  case outcome when 'bounced' then 'bounced_hard' when 'complained' then 'complained' else 'delivered' end,
  case when outcome <> 'bounced' then delivered_at end, ${whenIt("bounced")}, ${whenIt("complained")},
  ${whenIt("opened")}, ${whenIt("opened")}, ${whenIt("clicked")}, ${whenIt("clicked")},
  (outcome = 'opened')::integer, (outcome = 'clicked')::integer, ${whenIt("opened")},
  ${whenIt("opened", idOf("opened_at", "'opened' || n"))}, ${whenIt("clicked")}, true,
  sent_at + interval '1.234567 seconds', opened_at`;

const kinds = `unnest(array['sent', case when outcome = 'bounced' then 'delayed' else 'delivered' end, outcome]) as type`;
const eventColumns = "project_id, owner_id, occurred_at, id, type, detail, created_at";
const occurredAt =
  "case when type = 'sent' then sent_at when type in ('delivered', 'delayed') then delivered_at else opened_at end";

const events = `$1::uuid, id, ${occurredAt}, ${idOf(occurredAt, "type || n")}, type,
  case type
    when 'sent' then '{}'::jsonb
    when 'delivered' then jsonb_build_object(
      'smtp_response', '250 2.0.0 OK  ' || n || ' ' || md5('smtp' || n) || '.41 - gsmtp',
      'reporting_mta', 'a8-' || n % 99 || '.smtp-out.amazonses.com',
      'processing_time_ms', ${chance("delivery", "20000")})
    when 'delayed' then jsonb_build_object('delay_type', 'MailboxFull', 'status_code', '4.2.2')
    when 'bounced' then jsonb_build_object(
      'bounce_type', 'Permanent', 'bounce_subtype', 'General', 'status_code', '5.1.1',
      'feedback_id', md5('feedback' || n))
    when 'complained' then jsonb_build_object(
      'complaint_feedback_type', 'abuse', 'feedback_id', md5('feedback' || n))
    else jsonb_build_object(
      'ip_address', '192.0.2.' || n % 250,
      'user_agent', 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 Chrome/131.0.' || n % 9000)
      || case when type = 'clicked' then jsonb_build_object('url_clicked', 'https://' || sender_domain || '/orders/' || n)
         else '{}'::jsonb end
  end, ${occurredAt} + interval '1.234567 seconds'`;
