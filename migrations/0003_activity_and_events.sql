-- One email to one recipient. No index holds a column that events change, so that updates stay within the page.
create table activity (
  project_id uuid not null,
  id uuid not null,
  message_id text not null,
  recipient text not null,
  recipient_as_sent text not null,
  -- The sender's own id, from the message tag `activity_id`.
  tagged_id uuid,
  sent_at timestamptz,
  subject text,
  sender_email text,
  sender_name text,
  sender_domain text,
  email_type text,
  campaign_id uuid,
  automation_run_id uuid,
  template_id uuid,
  tags jsonb,
  is_test boolean not null,
  current_status text not null check (current_status in
    ('queued', 'sent', 'delayed', 'bounced_soft', 'delivered', 'failed', 'suppressed', 'bounced_hard', 'complained')),
  delivered_at timestamptz,
  bounced_at timestamptz,
  complained_at timestamptz,
  opened_first_at timestamptz,
  clicked_first_at timestamptz,
  opened_any_first_at timestamptz,
  clicked_any_first_at timestamptz,
  open_count integer not null,
  click_count integer not null,
  last_counted_open_at timestamptz,
  last_counted_open_id uuid,
  recipient_certain boolean not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (project_id, id),
  unique (project_id, message_id, recipient)
) with (fillfactor = 80);
create index activity_newest on activity (project_id, created_at desc, id desc);
create index activity_recipient on activity (project_id, recipient, created_at desc, id desc);
create index activity_sender_domain on activity (project_id, sender_domain, created_at desc, id desc);
create index activity_campaign on activity (project_id, campaign_id, created_at desc, id desc)
  where campaign_id is not null;
create index activity_automation_run on activity (project_id, automation_run_id, created_at desc, id desc)
  where automation_run_id is not null;
create index activity_tagged on activity (project_id, tagged_id) where tagged_id is not null;

-- Everything that happened. The id is computed from what happened, and the key holds the time that partitions
-- the table, so that a repeat always meets its original.
create table events (
  project_id uuid not null,
  activity_id uuid not null,
  occurred_at timestamptz not null,
  id uuid not null,
  type text not null,
  detail jsonb not null,
  -- null: it counts. Otherwise why it does not.
  discarded text,
  created_at timestamptz not null default now(),
  primary key (project_id, activity_id, occurred_at, id)
) partition by range (occurred_at);
