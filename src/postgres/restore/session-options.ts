import type { Session } from '../connection.ts';

export interface LoadingServer {
  readonly versionNum: number;
  readonly superuser: boolean;
  readonly linux: boolean;
}

export async function readLoadingServer(session: Session): Promise<LoadingServer> {
  const [row] = await session.query<{ readonly superuser: boolean; readonly linux: boolean }>(
    `SELECT current_setting('is_superuser')::bool AS superuser, version() ~ 'linux' AS linux`,
  );
  return { versionNum: session.versionNum, superuser: row?.superuser === true, linux: row?.linux === true };
}

/**
 * PGOPTIONS for psql, so that what somebody set for the role or the database neither ends a load nor changes what it
 * means: options of the start packet win over ALTER ROLE and ALTER DATABASE … SET. A dump sets only some of it itself.
 */
export function loadOptions({ versionNum, superuser, linux }: LoadingServer): string {
  const settings = [
    'role=none',
    'statement_timeout=0',
    'lock_timeout=0',
    'idle_in_transaction_session_timeout=0',
    'default_transaction_isolation=read\\ committed',
    'default_transaction_read_only=off',
    'default_transaction_deferrable=off',
    'default_tablespace=',
    'transform_null_equals=off',
    'array_nulls=on',
    'DateStyle=ISO',
    'IntervalStyle=postgres',
    // The last commit waits for the disk, and with it all before it.
    'synchronous_commit=off',
    ...(versionNum >= 140_000 ? ['idle_session_timeout=0'] : []),
    // A worker that dies leaves nobody to cancel a long CREATE INDEX.
    ...(versionNum >= 140_000 && linux ? ['client_connection_check_interval=10s'] : []),
    ...(versionNum >= 170_000 ? ['transaction_timeout=0'] : []),
    ...(superuser ? ['session_replication_role=origin', 'lc_messages=C'] : []),
    ...(superuser && versionNum >= 170_000 ? ['event_triggers=off'] : []),
  ];
  return settings.map((setting) => `-c ${setting}`).join(' ');
}
