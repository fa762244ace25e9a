#!/bin/bash
# First program of the PostgreSQL images that are laid out like Bitnami's or like Docker's official one (LAYOUT says
# which): makes the data directory once, then runs the server. Arguments go to the server.
#
# Understood: POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE, POSTGRES_USER, POSTGRES_DB, PGDATA; with Bitnami's layout the
# same with POSTGRESQL_ in front, and POSTGRES_POSTGRES_PASSWORD, too.
set -euo pipefail

# setting NAME: from the environment, or from the file that NAME_FILE names.
setting() {
  local name value file
  for name in "$1" "${1/#POSTGRES_/POSTGRESQL_}"; do
    value=${!name:-} file=${name}_FILE
    [ -n "$value" ] || [ -z "${!file:-}" ] || value=$(<"${!file}")
    [ -z "$value" ] || break
  done
  printf '%s' "$value"
}
user=$(setting POSTGRES_USER) password=$(setting POSTGRES_PASSWORD) database=$(setting POSTGRES_DB)
user=${user:-postgres}
[ "${1:-}" != postgres ] || shift

# Docker's image starts as root, and gives the data directory and itself to its user.
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres:postgres "$PGDATA" /run/postgresql
  exec setpriv --reuid=postgres --regid=postgres --init-groups -- "$0" "$@"
fi

[ -n "$password" ] || [ -s "$PGDATA/PG_VERSION" ] || { echo 'POSTGRES_PASSWORD is missing' >&2; exit 1; }
quoted() { printf "'%s'" "${1//\'/\'\'}"; }
identifier() { printf '"%s"' "${1//\"/\"\"}"; }

case $LAYOUT in
bitnami)
  conf=/opt/bitnami/postgresql/conf
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    admin=$(setting POSTGRES_POSTGRES_PASSWORD)
    initdb --username=postgres --pwfile=<(echo "${admin:-$password}") --locale=en_US.UTF-8 --encoding=UTF8 >/dev/null
    # Bitnami's lies outside.
    rm "$PGDATA"/{postgresql,pg_hba,pg_ident}.conf
    {
      [ "$user" = postgres ] || echo "CREATE ROLE $(identifier "$user") LOGIN CREATEDB PASSWORD $(quoted "$password")"
      [ -z "$database" ] || echo "CREATE DATABASE $(identifier "$database") OWNER $(identifier "$user")"
    } >"$conf/first.sql"
    printf 'local all all trust\n' >"$conf/pg_hba.conf"
    : >"$conf/postgresql.conf"
    [ ! -s "$conf/first.sql" ] ||
      postgres --single -F -D "$PGDATA" -c config_file="$conf/postgresql.conf" postgres <"$conf/first.sql" >/dev/null
    rm "$conf/first.sql"
  fi
  printf '%s\n' 'host all all 0.0.0.0/0 md5' 'host all all ::/0 md5' 'local all all md5' \
    'host all all 127.0.0.1/32 md5' 'host replication all 0.0.0.0/0 md5' >"$conf/pg_hba.conf"
  printf '%s\n' "listen_addresses = '*'" "unix_socket_directories = '/tmp'" "wal_level = replica" \
    "external_pid_file = '/opt/bitnami/postgresql/tmp/postgresql.pid'" >"$conf/postgresql.conf"
  touch "$conf/pg_ident.conf"
  set -- -c "config_file=$conf/postgresql.conf" -c "hba_file=$conf/pg_hba.conf" -c "ident_file=$conf/pg_ident.conf" "$@"
  ;;
docker)
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --username="$user" --pwfile=<(echo "$password") --auth-local=trust --auth-host=trust >/dev/null
    printf '\nhost all all all scram-sha-256\n' >>"$PGDATA/pg_hba.conf"
    printf "\nlisten_addresses = '*'\n" >>"$PGDATA/postgresql.conf"
    [ "${database:=$user}" = postgres ] ||
      postgres --single -F -D "$PGDATA" postgres >/dev/null <<<"CREATE DATABASE $(identifier "$database")"
  fi
  ;;
esac

# The kubelet's fsGroup gives the group rights whenever it mounts a volume; PostgreSQL refuses such a directory.
chmod 0700 "$PGDATA"
exec postgres -D "$PGDATA" "$@"
