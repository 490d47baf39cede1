/** The tables of the usual build, with the indexes that its lists need. */
export const usualTables = `
  create table events (
    id bigint generated always as identity primary key,
    message_id text not null,
    recipient text not null,
    type text not null,
    occurred_at timestamptz not null,
    detail jsonb not null,
    created_at timestamptz not null default now(),
    unique (message_id, recipient, type, occurred_at)
  );
  create index on events (occurred_at desc, id desc);
  create table activity (
    id bigint generated always as identity primary key,
    message_id text not null,
    recipient text not null,
    sent_at timestamptz not null,
    subject text,
    sender text,
    sender_domain text,
    email_type text,
    campaign_id text,
    tags jsonb,
    status text not null,
    status_rank smallint not null,
    delivered_at timestamptz,
    bounced_at timestamptz,
    complained_at timestamptz,
    opened_first_at timestamptz,
    clicked_first_at timestamptz,
    last_counted_open_at timestamptz,
    open_count integer not null,
    click_count integer not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique (message_id, recipient)
  ) with (fillfactor = 80);
  create index on activity (created_at desc, id desc);
  create index on activity (recipient, created_at desc, id desc);
  create index on activity (sender_domain, created_at desc, id desc);
  create index on activity (campaign_id, created_at desc, id desc);
  create table suppressions (
    address text primary key,
    reason text not null,
    since timestamptz not null
  );`;

export const insertEvent = `
  insert into events (message_id, recipient, type, occurred_at, detail)
  values ($1, $2, $3, $4, $5)
  on conflict do nothing`;

/** $1 to $10 describe the email, $11 and $12 are the status and its rank, $13 the event's type, $14 its time. */
export const upsertActivity = `
  insert into activity as known (message_id, recipient, sent_at, subject, sender, sender_domain, email_type,
    campaign_id, tags, updated_at, status, status_rank, delivered_at, bounced_at, complained_at, opened_first_at,
    clicked_first_at, last_counted_open_at, open_count, click_count)
  select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
    case when type = 'Delivery' then at end, case when type = 'Bounce' then at end,
    case when type = 'Complaint' then at end, case when type = 'Open' then at end,
    case when type = 'Click' then at end, case when type = 'Open' then at end,
    (type = 'Open')::integer, (type = 'Click')::integer
  from (values ($13::text, $14::timestamptz)) as event(type, at)
  on conflict (message_id, recipient) do update set
    status = case when excluded.status_rank > known.status_rank then excluded.status else known.status end,
    status_rank = greatest(known.status_rank, excluded.status_rank),
    delivered_at = least(known.delivered_at, excluded.delivered_at),
    bounced_at = least(known.bounced_at, excluded.bounced_at),
    complained_at = least(known.complained_at, excluded.complained_at),
    opened_first_at = least(known.opened_first_at, excluded.opened_first_at),
    clicked_first_at = least(known.clicked_first_at, excluded.clicked_first_at),
    open_count = known.open_count + (excluded.last_counted_open_at is not null and
      (known.last_counted_open_at is null
        or excluded.last_counted_open_at >= known.last_counted_open_at + interval '20 minutes'))::integer,
    last_counted_open_at = case
      when known.last_counted_open_at is null
        or excluded.last_counted_open_at >= known.last_counted_open_at + interval '20 minutes'
      then coalesce(excluded.last_counted_open_at, known.last_counted_open_at)
      else known.last_counted_open_at end,
    click_count = known.click_count + excluded.click_count,
    updated_at = excluded.updated_at`;

export const insertSuppression = `
  insert into suppressions (address, reason, since) values ($1, $2, $3) on conflict do nothing`;
