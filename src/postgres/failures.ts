import { HoldfastError, messageOf, type ErrorType } from '../domain/errors.ts';

/**
 * What PostgreSQL, the network or TLS said, as one of Holdfast's own failures. Decides by SQLSTATE and errno first:
 * texts are translated by servers.
 */

/** The SQLSTATE of an error that PostgreSQL sent, however deep it is wrapped; undefined for every other error. */
export function sqlState(error: unknown): string | undefined {
  return codeIn(error, (candidate) => /^[0-9A-Z]{5}$/.test(candidate) && !/^E[A-Z]{4}$/.test(candidate));
}

function codeIn(error: unknown, wanted: (code: string) => boolean, depth = 0): string | undefined {
  if (typeof error !== 'object' || error === null || depth > 8) return undefined;
  const { code, cause, errors } = error as { code?: unknown; cause?: unknown; errors?: unknown };
  if (typeof code === 'string' && wanted(code)) return code;
  const inner: unknown[] = Array.isArray(errors) ? [...(errors as unknown[]), cause] : [cause];
  for (const candidate of inner) {
    const found = codeIn(candidate, wanted, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

interface Failure {
  readonly type: ErrorType;
  readonly hint: string;
}

const unreachable: Failure = {
  type: 'PostgresUnavailable',
  hint: 'check that PostgreSQL runs there and that host, port and network policies let the worker reach it',
};

const bySqlState: Readonly<Record<string, Failure>> = {
  '28P01': { type: 'PostgresRefused', hint: 'check the user and the password that the configuration refers to' },
  '28000': { type: 'PostgresRefused', hint: 'check the user, and the line for this client in pg_hba.conf' },
  '3D000': {
    type: 'PostgresRefused',
    hint: 'check the name of the database; the maintenance database is the member database of the server',
  },
  '42501': { type: 'PostgresRefused', hint: 'connect as a superuser, or grant what the text above names' },
  '55000': { type: 'PostgresRefused', hint: 'the object is not in a state that allows this; see the text above' },
  '55P03': { type: 'Busy', hint: 'somebody else holds a lock; look at pg_locks for who, and try again' },
  '40001': {
    type: 'Busy',
    hint: 'try again; on a standby raise max_standby_streaming_delay or set hot_standby_feedback',
  },
  '40P01': { type: 'Busy', hint: 'two sessions waited for each other; try again' },
  '53300': {
    type: 'PostgresUnavailable',
    hint: 'every connection is taken; raise max_connections or end idle sessions',
  },
  '53100': { type: 'PostgresUnavailable', hint: "the server's disk is full" },
  '57P03': {
    type: 'PostgresUnavailable',
    hint: 'the server is starting, stopping or in recovery without hot standby; try again',
  },
};

const bySqlStateClass: Readonly<Record<string, Failure>> = {
  '08': { type: 'PostgresUnavailable', hint: 'the connection broke; see the log of the server' },
  '28': { type: 'PostgresRefused', hint: 'check the user, the password and pg_hba.conf' },
  '53': { type: 'PostgresUnavailable', hint: 'the server lacks a resource; see its log' },
  '57': { type: 'PostgresUnavailable', hint: 'the server ended the session or the statement; see its log' },
  '58': { type: 'PostgresUnavailable', hint: 'the server has trouble with its own files; see its log' },
  XX: { type: 'PostgresUnavailable', hint: 'the server reports an internal error or damaged data; see its log' },
};

const byErrno: Readonly<Record<string, Failure>> = {
  EACCES: {
    type: 'PostgresRefused',
    hint: 'the user that the worker runs as may not open the socket; check the modes of its directory',
  },
  ENOENT: {
    type: 'PostgresUnavailable',
    hint: 'no socket lies there: check that PostgreSQL runs, and its unix_socket_directories and port',
  },
  ENOTFOUND: {
    type: 'PostgresUnavailable',
    hint: 'the name of the host is not known to DNS; check its spelling and the name of the namespace',
  },
};

const tlsRefusal: Failure = {
  type: 'PostgresRefused',
  hint: "check sslmode, sslrootcert and the server's certificate",
};

const noPassword: Failure = {
  type: 'PostgresRefused',
  hint: 'the server asks for a password: give the cluster one (password: { env: … } or { file: … })',
};

function judge(error: unknown): Failure {
  const state = sqlState(error);
  if (state !== undefined) {
    return (
      bySqlState[state] ??
      bySqlStateClass[state.slice(0, 2)] ?? {
        type: 'Unexpected',
        hint: `PostgreSQL's own text says what is wrong (SQLSTATE ${state})`,
      }
    );
  }
  const text = messageOf(error);
  if (text.includes('client password must be a')) return noPassword;
  const errno = codeIn(error, (code) => /^(E[A-Z0-9]{2,}|ERR_[A-Z_]+|[A-Z_]{6,})$/.test(code));
  if (errno !== undefined) {
    if (isTlsCode(errno)) return tlsRefusal;
    return byErrno[errno] ?? unreachable;
  }
  if (/does not support SSL|establishing an SSL connection|certificate/i.test(text)) return tlsRefusal;
  return unreachable;
}

const isTlsCode = (code: string) =>
  code.startsWith('ERR_TLS') || code.startsWith('ERR_SSL') || /CERT|SIGNATURE|CRL|ISSUER/.test(code);

/**
 * @param doing what was being done, for the message: "connect to …", "read the databases of …"
 * @returns the error itself if it is a HoldfastError already; otherwise PostgresUnavailable (worth another try),
 *   PostgresRefused (somebody must change something), Busy (a lock), or Unexpected for any other SQLSTATE. The
 *   original is the cause, so `sqlState` finds its code.
 */
export function postgresFailure(error: unknown, doing: string): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const { type, hint } = judge(error);
  const text = messageOf(firstOf(error));
  return new HoldfastError(type, `can't ${doing}: ${text}`, hint, { cause: error });
}

/** Node wraps one error per address that it tried; the first says enough. */
function firstOf(error: unknown): unknown {
  const errors = (error as { errors?: unknown } | null)?.errors;
  return error instanceof Error && error.message === '' && Array.isArray(errors) ? (errors as unknown[])[0] : error;
}
