#!/bin/sh
# Writes a database dump to /backups once a day, and deletes dumps older than BACKUP_DAYS. PGHOST, PGUSER, PGPASSWORD and
# PGDATABASE name the database. BullMQ's wake-ups need no backup.
set -eu

directory=${BACKUP_DIRECTORY:-/backups}

while true; do
  name="$directory/fanmail-$(date -u +%Y-%m-%dT%H%M%SZ).dump"
  # A dump gets its final name only when it is complete.
  if pg_dump --format=custom --exclude-schema=bullmq --file="$name.part"; then
    mv "$name.part" "$name"
    echo "wrote $name"
    find "$directory" -name 'fanmail-*.dump' -mtime "+${BACKUP_DAYS:-7}" -delete
  else
    rm -f "$name.part"
    echo "no backup was made; older ones are kept" >&2
  fi
  sleep "${BACKUP_EVERY_SECONDS:-86400}"
done
