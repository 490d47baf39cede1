-- Lists of emails with a rare status, and of clicked ones, are found and counted in an index alone.
-- The status as the API names it, if few emails have it; otherwise null. An index on `current_status` would write a row anew, and
-- into every index, with each of its changes; this column changes only where a rare status begins or ends.
alter table activity add column rare_status text generated always as (
  case when current_status in ('bounced_soft', 'bounced_hard') then 'bounced'
    when current_status not in ('sent', 'delivered') then current_status end) stored;
create index activity_rare_status on activity (project_id, rare_status, created_at, id)
  include (campaign_id, automation_run_id, sender_domain, tenant_name) where rare_status is not null;
create index activity_clicked on activity (project_id, created_at, id) where clicked_first_at is not null;

-- With `discarded`, so that counting does not read the events.
drop index events_custom, events_custom_name;
create index events_custom on events (project_id, occurred_at, id) include (discarded) where type = 'custom';
create index events_custom_name on events (project_id, name, occurred_at, id) include (discarded) where type = 'custom';
