-- What runs now and then, in one process at a time: when it is due again.
create table retention_passes (
  name text primary key,
  due_at timestamptz not null
);

-- Finds discards that have been kept for long enough.
create index events_discarded on events (created_at) where discarded is not null;
