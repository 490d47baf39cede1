-- When something of the topic was first stored: how long its habits have been known.
alter table topics add column heard_since timestamptz;

-- Finds the batches of which something could not be applied.
create index batches_quarantined on batches (applied_at) where quarantined_count > 0;
