-- One row for each commit of the receiver. It is what a worker applies at a time.
create table batches (
  id uuid primary key,
  received_at timestamptz not null default now(),
  notification_count integer not null,
  -- The partitions of `notifications` that hold the batch.
  first_timestamp timestamptz not null,
  last_timestamp timestamptz not null,
  applied_at timestamptz,
  attempts integer not null default 0,
  -- When the sweep wakes a worker (again), if the batch is not applied by then.
  wake_at timestamptz not null default now() + interval '1 second',
  last_error text,
  -- What came of it.
  event_count integer,
  repeated_count integer,
  discarded_count integer,
  ignored_count integer,
  quarantined_count integer
);
create index batches_unapplied on batches (wake_at) where applied_at is null;

-- The journal: everything that was accepted, as it came. Partitioned by the signed SNS timestamp, so that a
-- repeat always meets its original; partitions are made by the service, ahead and on demand.
create table notifications (
  project_id uuid not null,
  topic_id uuid not null,
  sns_message_id uuid not null,
  sns_timestamp timestamptz not null,
  batch_id uuid not null,
  body text not null,
  quarantine_reason text,
  primary key (project_id, topic_id, sns_message_id, sns_timestamp)
) partition by range (sns_timestamp);
create index notifications_batch on notifications (batch_id);

do $$
begin
  -- lz4 costs a fraction of pglz; not every build of PostgreSQL has it.
  alter table notifications alter column body set compression lz4;
exception when feature_not_supported then null;
end $$;
