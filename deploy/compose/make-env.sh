#!/bin/sh
# Writes .env, which docker compose reads, with secrets of its own; never over one that is there.
# Run it before the first `docker compose up`: what a volume was made with stays.
set -eu
umask 077
file=${1:-.env}
secret() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }
set -C
{
  echo "SAMPLE_PASSWORD=$(secret)"
  echo "S3_ACCESS_KEY_ID=$(secret)"
  echo "S3_SECRET_ACCESS_KEY=$(secret)"
} > "$file"
echo "$file is written; keep it out of version control"
