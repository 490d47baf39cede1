-- Whether opens and clicks of machines are told apart from those of people.
alter table projects add column machine_filter boolean not null default true;

-- Custom events are of a recipient rather than of an email: the owner is the activity, or the recipient.
alter table events rename column activity_id to owner_id;
-- What a custom event (type 'custom') is called; null for those of emails.
alter table events add column name text;

-- Addresses that are not to be written to. No index beside the key: lists are walked by address.
create table suppressions (
  project_id uuid not null,
  address text not null,
  reason text not null check (reason in ('bounce', 'complaint', 'manual')),
  -- The earliest event that asks for it, and when that happened.
  source_event_id uuid,
  since timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (project_id, address)
);

-- People, as custom events know them.
create table recipients (
  project_id uuid not null,
  id uuid not null,
  address text not null,
  attributes jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (project_id, id),
  unique (project_id, address)
);

-- Orders that have been confirmed, and by which event. Whoever inserts first, wins; it never expires.
create table orders (
  project_id uuid not null,
  order_id text not null,
  event_id uuid not null,
  created_at timestamptz not null default now(),
  primary key (project_id, order_id)
);
