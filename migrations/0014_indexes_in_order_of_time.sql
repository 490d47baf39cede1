-- Indexes grow at their right edge, where PostgreSQL fills pages; at the left edge, where new rows of a descending index go, it
-- leaves them half empty. An ascending index gives the newest first just as well: it is read backwards.
drop index activity_newest, activity_recipient, activity_sender_domain, activity_campaign, activity_automation_run,
  activity_tenant;
create index activity_newest on activity (project_id, created_at, id);
create index activity_recipient on activity (project_id, recipient, created_at, id);
create index activity_sender_domain on activity (project_id, sender_domain, created_at, id);
create index activity_campaign on activity (project_id, campaign_id, created_at, id) where campaign_id is not null;
create index activity_automation_run on activity (project_id, automation_run_id, created_at, id)
  where automation_run_id is not null;
create index activity_tenant on activity (project_id, tenant_name, created_at, id) where tenant_name is not null;
drop index events_time, events_custom, events_custom_name;
create index events_time on events (project_id, occurred_at, id);
create index events_custom on events (project_id, occurred_at, id) where type = 'custom';
create index events_custom_name on events (project_id, name, occurred_at, id) where type = 'custom';

-- The id of an email is computed from its name, so that the primary key keeps names unique. Only where the messageId holds no
-- time, because it is not SES's, can two notifications compute different ids.
alter table activity drop constraint activity_project_id_message_id_recipient_key;
create unique index activity_without_time on activity (project_id, message_id, recipient)
  where not (message_id ~* '^[0-9a-f]{16}-' and lower(substr(message_id, 5, 12)) collate "C" >= '00dc6acfac00'
    and lower(substr(message_id, 5, 12)) collate "C" < '03bb2cc3d800');

-- SNS MessageIds are random: with the time before them, new notifications meet in the same pages of the index.
alter table notifications drop constraint notifications_pkey;
alter table notifications add constraint notifications_pkey
  primary key (project_id, topic_id, sns_timestamp, sns_message_id);

-- A compressed body stays in its row: nothing reads the row without it, and a table for bodies has a second index to keep.
-- lz4 compresses it in a fraction of the time of pglz. Not every server is built with it.
do $$
declare journal regclass;
begin
  for journal in select 'notifications'::regclass union all
    select inhrelid::regclass from pg_inherits where inhparent = 'notifications'::regclass
  loop
    execute format('alter table %s alter column body set storage main', journal);
    begin
      execute format('alter table %s alter column body set compression lz4', journal);
    exception when feature_not_supported then null;
    end;
  end loop;
end $$;
