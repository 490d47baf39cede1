-- The tenant of SES that an email was sent for: its tag ses:tenant-name. Emails stored before have null, until something
-- more is told of them or `fanmail rebuild` fills it in. Where the table is large, docs/operations.md (Upgrades) says how
-- to build the index before, without holding writers up.
alter table activity add column if not exists tenant_name text;
create index if not exists activity_tenant on activity (project_id, tenant_name, created_at desc, id desc)
  where tenant_name is not null;

-- Addresses that one tenant is not to write to. Apart from suppressions, which are everybody's.
create table tenant_suppressions (
  project_id uuid not null,
  tenant_name text not null,
  address text not null,
  reason text not null check (reason in ('bounce', 'complaint', 'manual')),
  source_event_id uuid,
  since timestamptz not null,
  created_at timestamptz not null default now(),
  id uuid not null generated always as ((md5(tenant_name || ' ' || address))::uuid) stored,
  primary key (project_id, address, tenant_name)
);
create index tenant_suppressions_newest on tenant_suppressions (project_id, tenant_name, created_at desc, id desc);

-- What SES says of an account or a tenant, through EventBridge.
create table account_statuses (
  project_id uuid not null,
  id uuid not null,
  occurred_at timestamptz not null,
  detail_type text not null,
  kind text not null,
  status text not null,
  account_id text,
  region text,
  resources jsonb not null,
  tenant_name text,
  reason text,
  recommendation_type text,
  impact text,
  origin text,
  created_at timestamptz not null default now(),
  primary key (project_id, id)
);
