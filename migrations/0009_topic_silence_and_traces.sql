alter table topics
  -- When something of the topic was last stored, give or take some seconds.
  add column last_notification_at timestamptz,
  -- The longest time that the topic is used to say nothing, in seconds; null: not known yet.
  add column usual_gap_seconds double precision;

-- W3C traceparent of the notification that it tells of; null: it was not traced.
alter table deliveries add column traceparent text;
