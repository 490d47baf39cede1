-- The schema after all migrations. Made by `npm run schema`; the migrations are what is applied.

create table account_statuses (
  project_id uuid not null,
  id uuid not null,
  occurred_at timestamp with time zone not null,
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
  created_at timestamp with time zone not null default now(),
  constraint account_statuses_pkey PRIMARY KEY (project_id, id)
);

create table activity (
  project_id uuid not null,
  id uuid not null,
  message_id text not null,
  recipient text not null,
  recipient_as_sent text,
  tagged_id uuid,
  sent_at timestamp with time zone,
  subject text,
  sender_email text,
  sender_name text,
  sender_domain text,
  email_type text,
  campaign_id uuid,
  automation_run_id uuid,
  template_id uuid,
  tags jsonb,
  is_test boolean not null,
  current_status text not null,
  delivered_at timestamp with time zone,
  bounced_at timestamp with time zone,
  complained_at timestamp with time zone,
  opened_first_at timestamp with time zone,
  clicked_first_at timestamp with time zone,
  opened_any_first_at timestamp with time zone,
  clicked_any_first_at timestamp with time zone,
  open_count integer not null,
  click_count integer not null,
  last_counted_open_at timestamp with time zone,
  last_counted_open_id uuid,
  recipient_certain boolean not null,
  created_at timestamp with time zone not null default clock_timestamp(),
  updated_at timestamp with time zone not null default now(),
  tenant_name text,
  last_counted_click_at timestamp with time zone,
  rare_status text generated always as (
CASE
    WHEN (current_status = ANY (ARRAY['bounced_soft'::text, 'bounced_hard'::text])) THEN 'bounced'::text
    WHEN (current_status <> ALL (ARRAY['sent'::text, 'delivered'::text])) THEN current_status
    ELSE NULL::text
END) stored,
  constraint activity_pkey PRIMARY KEY (project_id, id),
  constraint activity_current_status_check CHECK ((current_status = ANY (ARRAY['queued'::text, 'sent'::text, 'delayed'::text, 'bounced_soft'::text, 'delivered'::text, 'failed'::text, 'suppressed'::text, 'bounced_hard'::text, 'complained'::text])))
) with (fillfactor=80);
CREATE INDEX activity_automation_run ON public.activity USING btree (project_id, automation_run_id, created_at) WHERE (automation_run_id IS NOT NULL);
CREATE INDEX activity_campaign ON public.activity USING btree (project_id, campaign_id, created_at) WHERE (campaign_id IS NOT NULL);
CREATE INDEX activity_clicked ON public.activity USING btree (project_id, created_at) WHERE (clicked_first_at IS NOT NULL);
CREATE INDEX activity_newest ON public.activity USING btree (project_id, created_at);
CREATE INDEX activity_rare_status ON public.activity USING btree (project_id, rare_status, created_at, id) INCLUDE (campaign_id, automation_run_id, sender_domain, tenant_name) WHERE (rare_status IS NOT NULL);
CREATE INDEX activity_recipient ON public.activity USING btree (project_id, recipient, created_at);
CREATE INDEX activity_sender_domain ON public.activity USING btree (project_id, sender_domain, created_at);
CREATE INDEX activity_tagged ON public.activity USING btree (project_id, tagged_id) WHERE (tagged_id IS NOT NULL);
CREATE INDEX activity_tenant ON public.activity USING btree (project_id, tenant_name, created_at) WHERE (tenant_name IS NOT NULL);
CREATE UNIQUE INDEX activity_without_time ON public.activity USING btree (project_id, message_id, recipient) WHERE (NOT ((message_id ~* '^[0-9a-f]{16}-'::text) AND ((lower(substr(message_id, 5, 12)) COLLATE "C") >= '00dc6acfac00'::text) AND ((lower(substr(message_id, 5, 12)) COLLATE "C") < '03bb2cc3d800'::text)));

create table api_keys (
  project_id uuid not null,
  id uuid not null,
  name text not null,
  prefix text not null,
  sha256 bytea not null,
  scopes text[] not null,
  created_at timestamp with time zone not null default now(),
  revoked_at timestamp with time zone,
  constraint api_keys_pkey PRIMARY KEY (project_id, id),
  constraint api_keys_sha256_key UNIQUE (sha256),
  constraint api_keys_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id)
);

create table attempts (
  project_id uuid not null,
  delivery_id uuid not null,
  id uuid not null,
  number integer not null,
  started_at timestamp with time zone not null,
  duration_ms integer not null,
  status integer,
  failure text,
  message text,
  excerpt text,
  is_manual boolean not null default false,
  constraint attempts_pkey PRIMARY KEY (project_id, delivery_id, id)
);

create table batches (
  id uuid not null,
  received_at timestamp with time zone not null default now(),
  notification_count integer not null,
  first_timestamp timestamp with time zone not null,
  last_timestamp timestamp with time zone not null,
  applied_at timestamp with time zone,
  attempts integer not null default 0,
  wake_at timestamp with time zone not null default (now() + '00:00:01'::interval),
  last_error text,
  event_count integer,
  repeated_count integer,
  discarded_count integer,
  ignored_count integer,
  quarantined_count integer,
  constraint batches_pkey PRIMARY KEY (id)
);
CREATE INDEX batches_quarantined ON public.batches USING btree (applied_at) WHERE (quarantined_count > 0);
CREATE INDEX batches_unapplied ON public.batches USING btree (wake_at) WHERE (applied_at IS NULL);

create table deliveries (
  project_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  event_id uuid not null,
  event_type text not null,
  body text not null,
  state text not null,
  attempts integer not null default 0,
  due_at timestamp with time zone not null default now(),
  lease_id uuid,
  lease_expires_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  schedule_step integer not null default 0,
  traceparent text,
  last_attempt_at timestamp with time zone,
  last_status integer,
  last_failure text,
  constraint deliveries_pkey PRIMARY KEY (project_id, id),
  constraint deliveries_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'leased'::text, 'succeeded'::text, 'retrying'::text, 'exhausted'::text, 'held'::text, 'cancelled'::text])))
) with (fillfactor=80);
CREATE INDEX deliveries_attempted ON public.deliveries USING btree (project_id, endpoint_id, last_attempt_at, id) WHERE (last_attempt_at IS NOT NULL);
CREATE INDEX deliveries_due ON public.deliveries USING btree (project_id, endpoint_id, due_at, id) WHERE (state = ANY (ARRAY['pending'::text, 'retrying'::text]));
CREATE INDEX deliveries_leased ON public.deliveries USING btree (project_id, endpoint_id) WHERE (state = 'leased'::text);
CREATE INDEX deliveries_of_endpoint ON public.deliveries USING btree (project_id, endpoint_id, id);
CREATE INDEX deliveries_undelivered ON public.deliveries USING btree (project_id, endpoint_id, id) WHERE (state = ANY (ARRAY['exhausted'::text, 'held'::text]));

create table erasures (
  project_id uuid not null,
  id uuid not null,
  address text,
  pseudonym text not null,
  keep_suppression boolean not null,
  place jsonb,
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  constraint erasures_pkey PRIMARY KEY (project_id, id)
);
CREATE INDEX erasures_open ON public.erasures USING btree (created_at) WHERE (finished_at IS NULL);

create table events (
  project_id uuid not null,
  owner_id uuid not null,
  occurred_at timestamp with time zone not null,
  id uuid not null,
  type text not null,
  detail jsonb not null,
  discarded text,
  created_at timestamp with time zone not null default clock_timestamp(),
  name text,
  constraint events_pkey PRIMARY KEY (project_id, owner_id, occurred_at, id)
) partition by RANGE (occurred_at);
CREATE INDEX events_custom ON ONLY public.events USING btree (project_id, occurred_at, id) INCLUDE (discarded) WHERE (type = 'custom'::text);
CREATE INDEX events_custom_name ON ONLY public.events USING btree (project_id, name, occurred_at, id) INCLUDE (discarded) WHERE (type = 'custom'::text);
CREATE INDEX events_discarded ON ONLY public.events USING btree (created_at) WHERE (discarded IS NOT NULL);
CREATE INDEX events_recorded ON ONLY public.events USING btree (project_id, created_at) WHERE (type <> 'custom'::text);
CREATE INDEX events_time ON ONLY public.events USING btree (project_id, occurred_at, id);

create table idempotency_keys (
  project_id uuid not null,
  key text not null,
  request_sha256 bytea not null,
  status integer not null,
  answer json not null,
  created_at timestamp with time zone not null default now(),
  constraint idempotency_keys_pkey PRIMARY KEY (project_id, key)
);
CREATE INDEX idempotency_keys_age ON public.idempotency_keys USING btree (created_at);

create table journal_drops (
  day date not null,
  dropped_at timestamp with time zone not null default now(),
  constraint journal_drops_pkey PRIMARY KEY (day)
);

create table migrations (
  name text not null,
  applied_at timestamp with time zone not null default now(),
  constraint migrations_pkey PRIMARY KEY (name)
);

create table notifications (
  project_id uuid not null,
  topic_id uuid not null,
  sns_message_id uuid not null,
  sns_timestamp timestamp with time zone not null,
  batch_id uuid not null,
  body text not null,
  quarantine_reason text,
  constraint notifications_pkey PRIMARY KEY (project_id, topic_id, sns_timestamp, sns_message_id)
) partition by RANGE (sns_timestamp);
CREATE INDEX notifications_batch ON ONLY public.notifications USING btree (batch_id);

create table orders (
  project_id uuid not null,
  order_id text not null,
  event_id uuid not null,
  created_at timestamp with time zone not null default now(),
  constraint orders_pkey PRIMARY KEY (project_id, order_id)
);

create table projects (
  id uuid not null,
  name text not null,
  open_window_seconds integer,
  created_at timestamp with time zone not null default now(),
  machine_filter boolean not null default true,
  constraint projects_pkey PRIMARY KEY (id),
  constraint projects_name_key UNIQUE (name),
  constraint projects_open_window_seconds_check CHECK ((open_window_seconds >= 0))
);

create table rebuild_sources (
  rebuild_id uuid not null,
  project_id uuid not null,
  message_id text not null,
  recipient text not null,
  topic_id uuid not null,
  sns_message_id uuid not null,
  sns_timestamp timestamp with time zone not null
) partition by LIST (rebuild_id);
CREATE INDEX rebuild_sources_activity ON ONLY public.rebuild_sources USING btree (project_id, message_id, recipient);

create table rebuilds (
  id uuid not null,
  project_id uuid,
  since timestamp with time zone,
  dry_run boolean not null,
  version text not null,
  phase text not null default 'reading'::text,
  place jsonb,
  steps integer not null default 0,
  notification_count bigint not null default 0,
  activity_count bigint not null default 0,
  change_count bigint not null default 0,
  started_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  constraint rebuilds_pkey PRIMARY KEY (id),
  constraint rebuilds_phase_check CHECK ((phase = ANY (ARRAY['reading'::text, 'comparing'::text, 'finished'::text])))
);

create table recipients (
  project_id uuid not null,
  id uuid not null,
  address text not null,
  attributes jsonb not null default '{}'::jsonb,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  attribute_times jsonb not null default '{}'::jsonb,
  constraint recipients_pkey PRIMARY KEY (project_id, id),
  constraint recipients_project_id_address_key UNIQUE (project_id, address)
);

create table replays (
  project_id uuid not null,
  id uuid not null,
  endpoint_id uuid not null,
  scope text not null,
  since timestamp with time zone not null,
  until timestamp with time zone not null,
  event_types text[],
  rate_per_second double precision,
  state text not null default 'running'::text,
  total integer not null,
  total_is_estimate boolean not null,
  queued integer not null default 0,
  place jsonb,
  next_step_at timestamp with time zone not null default now(),
  created_at timestamp with time zone not null default now(),
  finished_at timestamp with time zone,
  constraint replays_pkey PRIMARY KEY (project_id, id),
  constraint replays_project_id_endpoint_id_fkey FOREIGN KEY (project_id, endpoint_id) REFERENCES webhook_endpoints(project_id, id) ON DELETE CASCADE,
  constraint replays_rate_per_second_check CHECK ((rate_per_second > (0)::double precision)),
  constraint replays_scope_check CHECK ((scope = ANY (ARRAY['failed'::text, 'undelivered'::text, 'all'::text]))),
  constraint replays_state_check CHECK ((state = ANY (ARRAY['running'::text, 'finished'::text, 'cancelled'::text])))
);
CREATE INDEX replays_of_endpoint ON public.replays USING btree (project_id, endpoint_id, created_at DESC, id DESC);
CREATE INDEX replays_running ON public.replays USING btree (next_step_at) WHERE (state = 'running'::text);

create table request_windows (
  key_id uuid not null,
  seconds bigint[] not null,
  counts integer[] not null,
  granted integer not null,
  constraint request_windows_pkey PRIMARY KEY (key_id)
) with (fillfactor=50);

create table retention_passes (
  name text not null,
  due_at timestamp with time zone not null,
  constraint retention_passes_pkey PRIMARY KEY (name)
);

create table suppressions (
  project_id uuid not null,
  address text not null,
  reason text not null,
  source_event_id uuid,
  since timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  id uuid not null generated always as ((md5(address))::uuid) stored,
  constraint suppressions_pkey PRIMARY KEY (project_id, address),
  constraint suppressions_reason_check CHECK ((reason = ANY (ARRAY['bounce'::text, 'complaint'::text, 'manual'::text])))
);
CREATE INDEX suppressions_newest ON public.suppressions USING btree (project_id, created_at DESC, id DESC);

create table tenant_suppressions (
  project_id uuid not null,
  tenant_name text not null,
  address text not null,
  reason text not null,
  source_event_id uuid,
  since timestamp with time zone not null,
  created_at timestamp with time zone not null default now(),
  id uuid not null generated always as ((md5(((tenant_name || ' '::text) || address)))::uuid) stored,
  constraint tenant_suppressions_pkey PRIMARY KEY (project_id, address, tenant_name),
  constraint tenant_suppressions_reason_check CHECK ((reason = ANY (ARRAY['bounce'::text, 'complaint'::text, 'manual'::text])))
);
CREATE INDEX tenant_suppressions_newest ON public.tenant_suppressions USING btree (project_id, tenant_name, created_at DESC, id DESC);

create table topics (
  project_id uuid not null,
  id uuid not null,
  arn text not null,
  subscription_state text not null default 'unknown'::text,
  subscription_error text,
  subscription_changed_at timestamp with time zone,
  created_at timestamp with time zone not null default now(),
  heard_since timestamp with time zone,
  last_notification_at timestamp with time zone,
  usual_gap_seconds double precision,
  constraint topics_pkey PRIMARY KEY (project_id, id),
  constraint topics_arn_key UNIQUE (arn),
  constraint topics_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id),
  constraint topics_subscription_state_check CHECK ((subscription_state = ANY (ARRAY['unknown'::text, 'confirmed'::text, 'confirmation_failed'::text, 'unsubscribed'::text])))
);

create table webhook_endpoints (
  project_id uuid not null,
  id uuid not null,
  url text not null,
  event_types text[] not null,
  description text,
  state text not null default 'enabled'::text,
  max_in_flight integer not null default 10,
  created_at timestamp with time zone not null default now(),
  sealed_headers bytea,
  header_names text[] not null default '{}'::text[],
  rate_per_second double precision,
  ordered boolean not null default false,
  legacy_signature boolean not null default false,
  disabled_reason text,
  disabled_at timestamp with time zone,
  updated_at timestamp with time zone not null default now(),
  constraint webhook_endpoints_pkey PRIMARY KEY (project_id, id),
  constraint webhook_endpoints_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects(id),
  constraint webhook_endpoints_disabled_reason_check CHECK ((disabled_reason = ANY (ARRAY['manual'::text, 'gone'::text, 'failing'::text]))),
  constraint webhook_endpoints_max_in_flight_check CHECK (((max_in_flight >= 1) AND (max_in_flight <= 1000))),
  constraint webhook_endpoints_rate_per_second_check CHECK ((rate_per_second > (0)::double precision)),
  constraint webhook_endpoints_state_check CHECK ((state = ANY (ARRAY['enabled'::text, 'disabled'::text, 'deleted'::text])))
);
CREATE INDEX webhook_endpoints_newest ON public.webhook_endpoints USING btree (project_id, created_at DESC, id DESC);

create table webhook_lanes (
  project_id uuid not null,
  endpoint_id uuid not null,
  paused_until timestamp with time zone,
  breaker_openings integer not null default 0,
  slowdowns integer not null default 0,
  recent jsonb not null default '[]'::jsonb,
  failing_since timestamp with time zone,
  last_success_at timestamp with time zone,
  tokens double precision,
  tokens_at timestamp with time zone,
  constraint webhook_lanes_pkey PRIMARY KEY (project_id, endpoint_id),
  constraint webhook_lanes_project_id_endpoint_id_fkey FOREIGN KEY (project_id, endpoint_id) REFERENCES webhook_endpoints(project_id, id) ON DELETE CASCADE
) with (fillfactor=50);

create table webhook_secrets (
  project_id uuid not null,
  endpoint_id uuid not null,
  id uuid not null,
  sealed bytea not null,
  created_at timestamp with time zone not null default now(),
  expires_at timestamp with time zone,
  constraint webhook_secrets_pkey PRIMARY KEY (project_id, endpoint_id, id),
  constraint webhook_secrets_project_id_endpoint_id_fkey FOREIGN KEY (project_id, endpoint_id) REFERENCES webhook_endpoints(project_id, id) ON DELETE CASCADE
);
