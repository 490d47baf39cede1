create table webhook_endpoints (
  project_id uuid not null references projects,
  id uuid not null,
  url text not null,
  -- Names of webhook events, or '*' for all.
  event_types text[] not null,
  description text,
  state text not null default 'enabled' check (state in ('enabled', 'disabled')),
  max_in_flight integer not null default 10 check (max_in_flight between 1 and 1000),
  created_at timestamptz not null default now(),
  primary key (project_id, id)
);

-- Secrets that sign, encrypted with ENCRYPTION_KEY. An endpoint has several while they rotate.
create table webhook_secrets (
  project_id uuid not null,
  endpoint_id uuid not null,
  id uuid not null,
  sealed bytea not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  primary key (project_id, endpoint_id, id),
  foreign key (project_id, endpoint_id) references webhook_endpoints on delete cascade
);

-- One event owed to one endpoint. Written in the transaction that writes the event.
create table deliveries (
  project_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_type text not null,
  body text not null,
  state text not null check (state in
    ('pending', 'leased', 'succeeded', 'retrying', 'exhausted', 'held', 'cancelled')),
  attempts integer not null default 0,
  due_at timestamptz not null default now(),
  lease_id uuid,
  lease_expires_at timestamptz,
  created_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (project_id, id)
) with (fillfactor = 80);
create index deliveries_due on deliveries (project_id, endpoint_id, due_at, id)
  where state in ('pending', 'retrying');
create index deliveries_leased on deliveries (lease_expires_at) where state = 'leased';

-- Each POST that was made.
create table attempts (
  project_id uuid not null,
  delivery_id uuid not null,
  id uuid not null,
  number integer not null,
  started_at timestamptz not null,
  duration_ms integer not null,
  status integer,
  -- null: success. Otherwise the class of the failure.
  failure text,
  message text,
  excerpt text,
  primary key (project_id, delivery_id, id)
);
