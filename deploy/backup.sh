#!/bin/sh
# Writes a dump of the database to /backups once a day, and removes those that are older than BACKUP_DAYS. Where the
# database is comes from PGHOST, PGUSER, PGPASSWORD and PGDATABASE. BullMQ's wake-ups are not worth keeping.
set -eu

directory=${BACKUP_DIRECTORY:-/backups}

while true; do
  name="$directory/fanmail-$(date -u +%Y-%m-%dT%H%M%SZ).dump"
  # It has its name when it is whole.
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
