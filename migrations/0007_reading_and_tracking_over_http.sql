-- Events of a project in order of time, across emails and people: lists, and the way from an id, which holds the time,
-- to its event.
create index events_time on events (project_id, occurred_at desc, id desc);
create index events_custom on events (project_id, occurred_at desc, id desc) where type = 'custom';
create index events_custom_name on events (project_id, name, occurred_at desc, id desc) where type = 'custom';
-- Activities in order of their last change: every change comes with an event, and rows of events do not move, which
-- an index on activity.updated_at would have those of activity do.
create index events_recorded on events (project_id, created_at) where type <> 'custom';

-- Who reads in order of these times must not miss a row. The moment of a row's own insert lies after its
-- transaction's lock of the table, which readers look at; the transaction's start may lie before it.
alter table activity alter column created_at set default clock_timestamp();
alter table events alter column created_at set default clock_timestamp();

-- Everyone who was written to is a recipient.
insert into recipients (project_id, id, address)
  select distinct on (project_id, recipient) project_id, gen_random_uuid(), recipient from activity
  order by project_id, recipient
  on conflict do nothing;

-- When each attribute was last told, as {"key": "2026-11-24T10:00:00.000Z"}: the later event wins, key by key.
alter table recipients add column attribute_times jsonb not null default '{}';

-- Lists of suppressions walk by time, and ties need an id.
alter table suppressions add column id uuid not null generated always as (md5(address)::uuid) stored;
create index suppressions_newest on suppressions (project_id, created_at desc, id desc);

-- Answers to requests that carry an Idempotency-Key, for a day.
create table idempotency_keys (
  project_id uuid not null,
  key text not null,
  -- Of the route and the body: a key is for one request.
  request_sha256 bytea not null,
  status integer not null,
  -- With its fields in the order in which they were answered.
  answer json not null,
  created_at timestamptz not null default now(),
  primary key (project_id, key)
);
create index idempotency_keys_age on idempotency_keys (created_at);

-- How many requests each API key made in each of the last seconds, where there is no Redis to count them. What a
-- crash loses is a minute of counting.
create unlogged table request_windows (
  key_id uuid primary key,
  -- Epoch seconds in ascending order, and the requests admitted in each.
  seconds bigint[] not null,
  counts integer[] not null,
  -- How many the last writer was granted.
  granted integer not null
) with (fillfactor = 50);

-- People who were erased: what the journal and webhooks still tell of them is taken out step by step, by workers.
create table erasures (
  project_id uuid not null,
  id uuid not null,
  -- Workers must know what to look for; null when they are done.
  address text,
  -- What stands in place of the address.
  pseudonym text not null,
  keep_suppression boolean not null,
  -- How far workers have come.
  place jsonb,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (project_id, id)
);
create index erasures_open on erasures (created_at) where finished_at is null;
