-- A tenant. Every other table's key begins with its id.
create table projects (
  id uuid primary key,
  name text not null unique,
  -- null: OPEN_WINDOW_SECONDS
  open_window_seconds integer check (open_window_seconds >= 0),
  created_at timestamptz not null default now()
);

-- The project of BOOTSTRAP_API_KEY and SNS_TOPIC_ARNS.
insert into projects (id, name) values ('00000000-0000-8000-8000-000000000001', 'default');

create table api_keys (
  project_id uuid not null references projects,
  id uuid not null,
  name text not null,
  -- The first characters, by which people tell keys apart; the key itself is not kept.
  prefix text not null,
  sha256 bytea not null unique,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  revoked_at timestamptz,
  primary key (project_id, id)
);

-- SNS topics that are listened to. A notification of any other is refused, however well it is signed.
create table topics (
  project_id uuid not null references projects,
  id uuid not null,
  arn text not null unique,
  subscription_state text not null default 'unknown'
    check (subscription_state in ('unknown', 'confirmed', 'confirmation_failed', 'unsubscribed')),
  subscription_error text,
  subscription_changed_at timestamptz,
  created_at timestamptz not null default now(),
  primary key (project_id, id)
);
