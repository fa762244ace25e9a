import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { postgresFailure, sqlState } from '../failures.ts';
import { quoteIdent } from '../quote.ts';
import { describeServer, type Server } from '../server.ts';

/** Why the server doesn't let us replicate, with the cure; everything else as postgresFailure names it. */
export function replicationFailure(error: unknown, doing: string, server: Server): HoldfastError {
  if (error instanceof HoldfastError) return error;
  const text = messageOf(error);
  const refused = (hint: string, type: 'PostgresRefused' | 'PostgresUnavailable' = 'PostgresRefused') =>
    new HoldfastError(type, `can't ${doing}: ${text}`, hint, { cause: error });
  switch (sqlState(error)) {
    case '28000':
      return refused(
        `add this line to pg_hba.conf before the lines that refuse it, then run SELECT pg_reload_conf(): ${hbaLine(server, text)}`,
      );
    case '42501':
      return refused(`let the role replicate, as a superuser: ALTER ROLE ${quoteIdent(server.user)} REPLICATION`);
    case '42704':
    case '08P01':
      return refused('PostgreSQL 15 or newer is needed, and nothing between the worker and it');
    case '53300':
      if (!text.includes('max_wal_senders')) break;
      return /\b0\)/.test(text)
        ? refused('set max_wal_senders to 10 and wal_level to replica, and restart the server')
        : refused(
            'every place for replication is taken: end what needs none any more (pg_stat_replication shows them), or raise max_wal_senders and restart the server',
            'PostgresUnavailable',
          );
    default:
  }
  return postgresFailure(error, doing);
}

/** What pg_hba.conf needs. The server says how it sees us; its words are translated, the address in quotes isn't. */
function hbaLine(server: Server, text: string): string {
  const user = /^[a-z_][a-z0-9_]*$/.test(server.user) ? server.user : quoteIdent(server.user);
  if (isAbsolute(server.host)) return `local replication ${user} scram-sha-256`;
  const from = isService(server.host) ? 'all' : seenFrom(text);
  return `${server.sslmode === 'disable' || server.sslmode === 'prefer' ? 'host' : 'hostssl'} replication ${user} ${from} scram-sha-256`;
}

/** In Kubernetes: whoever asks is a pod, which has another address tomorrow. */
const isService = (host: string) => /\.svc(\.|$)/.test(host);

function seenFrom(text: string): string {
  const address = /"([0-9a-fA-F.:]+)"/.exec(text)?.[1];
  const version = address === undefined ? 0 : isIP(address);
  return version === 0 ? 'ADDRESS-OF-THE-WORKER' : `${String(address)}/${version === 6 ? '128' : '32'}`;
}

export const tooOld = (server: Server, versionNum: number) =>
  new HoldfastError(
    'PostgresRefused',
    `${describeServer(server)} is PostgreSQL ${versionText(versionNum)}, too old for base backups and a WAL archive`,
    'PostgreSQL 15 or newer is needed; back it up with method pg_dumpall',
  );

function versionText(versionNum: number): string {
  const minor = versionNum >= 100_000 ? [versionNum % 10_000] : [Math.floor(versionNum / 100) % 100, versionNum % 100];
  return [Math.floor(versionNum / 10_000), ...minor].join('.');
}
