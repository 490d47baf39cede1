alter table topics
  -- When something of the topic was first stored: how long its habits have been known.
  add column heard_since timestamptz,
  -- When something of it was last stored, give or take some seconds.
  add column last_notification_at timestamptz,
  -- The longest time that it is used to say nothing, in seconds; null: not known yet.
  add column usual_gap_seconds double precision;

-- W3C traceparent of the notification that it tells of; null: it was not traced.
alter table deliveries add column traceparent text;

-- Finds the batches of which something could not be applied.
create index batches_quarantined on batches (applied_at) where quarantined_count > 0;
