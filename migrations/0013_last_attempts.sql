-- The last attempt of a delivery, so that what failed lately can be listed. Null: none was made since this migration.
alter table deliveries
  add column last_attempt_at timestamptz,
  add column last_status integer,
  add column last_failure text;
create index deliveries_attempted on deliveries (project_id, endpoint_id, last_attempt_at, id)
  where last_attempt_at is not null;
