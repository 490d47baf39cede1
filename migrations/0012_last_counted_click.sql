-- The time of the last click that counts: only clicks within a moment of it have to be compared with those before.
-- null where clicks were counted before this column was there; the next one is compared with all.
alter table activity add column last_counted_click_at timestamptz;
