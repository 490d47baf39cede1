-- The recipient as the sender wrote it; null if that is the form that is matched, as it nearly always is.
alter table activity alter column recipient_as_sent drop not null;

-- Without the id: hardly two rows have the same `created_at`, and those are sorted when a page is read.
drop index activity_newest, activity_recipient, activity_sender_domain, activity_campaign, activity_automation_run,
  activity_tenant, activity_clicked;
create index activity_newest on activity (project_id, created_at);
create index activity_recipient on activity (project_id, recipient, created_at);
create index activity_sender_domain on activity (project_id, sender_domain, created_at);
create index activity_campaign on activity (project_id, campaign_id, created_at) where campaign_id is not null;
create index activity_automation_run on activity (project_id, automation_run_id, created_at)
  where automation_run_id is not null;
create index activity_tenant on activity (project_id, tenant_name, created_at) where tenant_name is not null;
create index activity_clicked on activity (project_id, created_at) where clicked_first_at is not null;
