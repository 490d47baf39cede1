-- deleted: what it is still owed is cancelled by the sweep, also what is being written now; then the row goes.
alter table webhook_endpoints drop constraint webhook_endpoints_state_check;
alter table webhook_endpoints add constraint webhook_endpoints_state_check
  check (state in ('enabled', 'disabled', 'deleted'));
alter table webhook_endpoints
  -- Headers of the customer's own, encrypted with ENCRYPTION_KEY because tokens are sent in them. null: none.
  add column sealed_headers bytea,
  -- The names of these headers.
  add column header_names text[] not null default '{}',
  add column rate_per_second double precision check (rate_per_second > 0),
  -- One at a time and in event order; a failure holds those behind it.
  add column ordered boolean not null default false,
  -- Also sign as Really Quick Emails does.
  add column legacy_signature boolean not null default false,
  -- manual, gone (answered 410) or failing (every attempt for days).
  add column disabled_reason text check (disabled_reason in ('manual', 'gone', 'failing')),
  -- Or deleted.
  add column disabled_at timestamptz,
  add column updated_at timestamptz not null default now();
update webhook_endpoints set disabled_reason = 'manual', disabled_at = now() where state = 'disabled';
create index webhook_endpoints_newest on webhook_endpoints (project_id, created_at desc, id desc);

-- How an endpoint has been doing and when it may have its next turn. Apart from the endpoint, because every turn
-- writes it.
create table webhook_lanes (
  project_id uuid not null,
  endpoint_id uuid not null,
  -- No turn before: the breaker is open, the endpoint asked us to slow down, or an ordered delivery waits.
  paused_until timestamptz,
  -- How often in a row the breaker has opened; 0: it is closed.
  breaker_openings integer not null default 0,
  -- How often in a row the endpoint asked us to slow down.
  slowdowns integer not null default 0,
  -- Attempts and failures of the last minutes, as [{"at": epoch seconds, "attempts": 3, "failures": 1}, …].
  recent jsonb not null default '[]',
  -- The first failure since the last success.
  failing_since timestamptz,
  last_success_at timestamptz,
  -- What rate_per_second allowed at a time; null: a full second's worth.
  tokens double precision,
  tokens_at timestamptz,
  primary key (project_id, endpoint_id),
  foreign key (project_id, endpoint_id) references webhook_endpoints on delete cascade
) with (fillfactor = 50);
insert into webhook_lanes (project_id, endpoint_id) select project_id, id from webhook_endpoints;

alter table deliveries
  -- Attempts on the present schedule. A replay begins it anew; a resend by hand is no step of it.
  add column schedule_step integer not null default 0;
update deliveries set schedule_step = attempts;
create index deliveries_of_endpoint on deliveries (project_id, endpoint_id, id);
-- What is looked for among all that was delivered.
create index deliveries_undelivered on deliveries (project_id, endpoint_id, id) where state in ('exhausted', 'held');
drop index deliveries_leased;
create index deliveries_leased on deliveries (project_id, endpoint_id) where state = 'leased';

-- Made by hand, with POST /v1/deliveries/:id/resend or /v1/webhooks/:id/test.
alter table attempts add column is_manual boolean not null default false;

-- Deliveries that are to be made again, step by step.
create table replays (
  project_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  scope text not null check (scope in ('failed', 'undelivered', 'all')),
  -- Times of events, both inclusive.
  since timestamptz not null,
  until timestamptz not null,
  -- null: what the endpoint subscribes to.
  event_types text[],
  rate_per_second double precision check (rate_per_second > 0),
  state text not null default 'running' check (state in ('running', 'finished', 'cancelled')),
  -- How many there were to make when it began, and how many have been put into the lane.
  total integer not null,
  total_is_estimate boolean not null,
  queued integer not null default 0,
  -- How far it has come; null: at the beginning.
  place jsonb,
  next_step_at timestamptz not null default now(),
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (project_id, id),
  foreign key (project_id, endpoint_id) references webhook_endpoints on delete cascade
);
create index replays_running on replays (next_step_at) where state = 'running';
create index replays_of_endpoint on replays (project_id, endpoint_id, created_at desc, id desc);
