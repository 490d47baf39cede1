-- Days that retention has dropped from the journal. What happened on them is known from events alone.
create table journal_drops (
  day date primary key,
  dropped_at timestamptz not null default now()
);

-- A rebuild of activity from the journal, and how far it has come.
create table rebuilds (
  id uuid primary key,
  -- null: of all projects
  project_id uuid,
  -- null: the whole journal
  since timestamptz,
  dry_run boolean not null,
  -- Rules differ between versions, so that a rebuild goes on with its own only.
  version text not null,
  phase text not null default 'reading' check (phase in ('reading', 'comparing', 'finished')),
  -- Where the phase goes on; null: at its beginning.
  place jsonb,
  -- How many steps were made. A step is taken by whoever knows the number.
  steps integer not null default 0,
  notification_count bigint not null default 0,
  activity_count bigint not null default 0,
  change_count bigint not null default 0,
  started_at timestamptz not null default now(),
  finished_at timestamptz
);

-- Which notifications of the journal tell of an activity, while a rebuild goes on. A partition for each rebuild,
-- dropped with its end.
create table rebuild_sources (
  rebuild_id uuid not null,
  project_id uuid not null,
  message_id text not null,
  recipient text not null,
  topic_id uuid not null,
  sns_message_id uuid not null,
  sns_timestamp timestamptz not null
) partition by list (rebuild_id);
create index rebuild_sources_activity on rebuild_sources (project_id, message_id, recipient);
