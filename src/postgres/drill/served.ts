import { allowedSettings, forcedSettings, renderSettings } from '../instance/settings.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { ServerWish } from './scratch-server.ts';

/**
 * How a container of any image with PostgreSQL makes and runs a drill's server that is asked over the network. What a
 * container is given can be read by whoever may read pods: there is no secret in it.
 */
export interface Served {
  /** For `/bin/sh -c`, with `args` from $1 on. */
  readonly script: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface ServedPlace {
  /** Absolute; empty, and the container's user may write there. */
  readonly directory: string;
  readonly port: number;
  /** Nobody has been connected for so long: whoever made it is no more, and it ends. */
  readonly patienceSeconds: number;
}

export const socketsIn = (directory: string) => `${directory}/run`;
export const tablespacesIn = (directory: string) => `${directory}/tablespaces`;

/** What the script ends with where initdb fails; its words are on stderr then. */
export const initdbFailed = 74;

/**
 * Pure. InvalidArgument for a superuser whose name initdb can't give a password.
 * @param verifier of the superuser's password
 */
export function servedServer(wish: ServerWish, verifier: string, place: ServedPlace): Served {
  const { superuser, encoding, locale, versionNum } = wish;
  const { directory, port, patienceSeconds } = place;
  const major = Math.floor(versionNum / 10_000);
  const forced = {
    ...forcedSettings(major),
    listen_addresses: '*',
    port: String(port),
    unix_socket_directories: socketsIn(directory),
    hba_file: `${socketsIn(directory)}/pg_hba.conf`,
    ident_file: `${socketsIn(directory)}/pg_ident.conf`,
    password_encryption: 'scram-sha-256',
    // A server that went on after a crash of one of its processes would look like the one before.
    restart_after_crash: 'off',
    tcp_keepalives_idle: '60',
    tcp_keepalives_interval: '10',
    tcp_keepalives_count: '6',
  };
  return {
    script,
    args: Object.entries(forced).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    environment: {
      DIRECTORY: directory,
      MAJOR: String(major),
      SUPERUSER: superuser,
      VERIFIER: verifier,
      ENCODING: encoding === '' ? 'UTF8' : encoding,
      ...localeOf(locale),
      TABLESPACES: String(wish.tablespaces),
      PRELOAD: wish.preload.join(' '),
      SETTINGS: settingsOf(major),
      HBA: hbaOf(superuser),
      PORT_IN_HEX: port.toString(16).toUpperCase().padStart(4, '0'),
      PATIENCE: String(patienceSeconds),
    },
  };
}

const settingsOf = (major: number) =>
  renderSettings(allowedSettings({ programs: { major, libraryDirectories: [] }, source: {}, control: {} }).settings);

/** Roles that the backup brings have their own passwords, which many may know: none of them is let in. */
function hbaOf(superuser: string): string {
  if (/["\n\r\0]/.test(superuser))
    throw new HoldfastError(
      'InvalidArgument',
      `the source's superuser ${JSON.stringify(superuser)} has a quote or a line break in its name, which initdb doesn't take`,
      "drill on the worker: drill: { on: worker } in the cluster's configuration",
    );
  return `host all "${superuser}" all scram-sha-256\n`;
}

function localeOf({ collate, ctype, localeProvider, locale }: ServerWish['locale']): Readonly<Record<string, string>> {
  const libc = { LOCALE: collate, CTYPE: ctype };
  switch (localeProvider) {
    case 'libc':
      return libc;
    case 'icu':
      return { ...libc, PROVIDER: 'icu', ICU_LOCALE: locale ?? '' };
    case 'builtin':
      return { ...libc, PROVIDER: 'builtin', BUILTIN_LOCALE: locale ?? '' };
  }
}

/**
 * Looks for PostgreSQL where images have it, runs initdb, loads those of the wished libraries that the image has, and
 * serves until it is told to stop or until nobody has been connected for a while, which it sees in the kernel's list of
 * connections (01: established). The last words before a failure are on stderr.
 */
const script = `set -eu
umask 077
PATH="$PATH:/usr/lib/postgresql/$MAJOR/bin:/usr/pgsql-$MAJOR/bin:/opt/bitnami/postgresql/bin:/usr/local/bin"
program=$(command -v postgres) || { echo 'the image has no program postgres' >&2; exit 73; }
program=$(readlink -f "$program")
top=\${program%/bin/*}
cd "$DIRECTORY"
mkdir -p run tablespaces
number=0
while [ "$number" -lt "$TABLESPACES" ]; do number=$((number + 1)); mkdir -p "tablespaces/$number"; done
printf '%s\\n' "$VERIFIER" >run/verifier
initdb -D data --username="$SUPERUSER" --pwfile=run/verifier --auth=scram-sha-256 \\
  \${ENCODING:+--encoding="$ENCODING"} \${LOCALE:+--locale="$LOCALE"} \${CTYPE:+--lc-ctype="$CTYPE"} \\
  \${PROVIDER:+--locale-provider="$PROVIDER"} \${ICU_LOCALE:+--icu-locale="$ICU_LOCALE"} \\
  \${BUILTIN_LOCALE:+--builtin-locale="$BUILTIN_LOCALE"} >run/initdb.log 2>&1 ||
  { tail -n 20 run/initdb.log >&2; exit ${String(initdbFailed)}; }
printf '%s' "$SETTINGS" >run/postgresql.conf
printf '%s' "$HBA" >run/pg_hba.conf
: >run/pg_ident.conf
libraries=
for library in $PRELOAD; do
  for directory in "$top/lib" "$top/lib/postgresql" "\${top%/*}/lib/postgresql$MAJOR"; do
    [ ! -e "$directory/$library.so" ] || { libraries="$libraries\${libraries:+,}$library"; break; }
  done
done
[ -z "$libraries" ] || printf "shared_preload_libraries = '%s'\\n" "$libraries" >>run/postgresql.conf
postgres -D data -c config_file="$DIRECTORY/run/postgresql.conf" "$@" &
server=$!
trap 'kill -INT "$server"' TERM INT
alone=0
while kill -0 "$server" 2>/dev/null; do
  sleep 5 &
  wait "$!" || :
  if grep -qs ":$PORT_IN_HEX [0-9A-F]*:[0-9A-F]* 01 " /proc/net/tcp /proc/net/tcp6; then alone=0; else alone=$((alone + 5)); fi
  if [ "$alone" -ge "$PATIENCE" ]; then
    kill -INT "$server"
    wait "$server" || :
    echo "nobody was connected for $PATIENCE seconds" >&2
    exit 75
  fi
done
wait "$server"
`;
