import { HoldfastError } from '../../domain/errors.ts';
import { withSession, withToolEnvironment, type Server } from '../connection.ts';
import { inspectServer, type ServerLook } from '../inspect.ts';
import { describeServer } from '../server.ts';
import { endLeftovers } from './leftovers.ts';

export interface DumpAttempt {
  readonly server: Server;
  /**
   * Names this attempt in pg_stat_activity: ASCII, at most 63 characters, begins with 'holdfast '. Backends of that
   * name are ended before and after.
   */
  readonly applicationName: string;
  /** Names of earlier attempts: their backends are ended before. Never a later one's, which would be its end. */
  readonly earlierNames?: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * What every dump of a whole server begins and ends with: what an earlier attempt left is ended, the server is looked
 * at, the tools get their environment, and after a failure nothing of this attempt goes on in the server. Rejects with
 * PostgresRefused for a user who may not read passwords, with what `dump` throws, or with the signal's reason.
 */
export async function asAttempt<T>(
  attempt: DumpAttempt,
  dump: (look: ServerLook, env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const { server, applicationName, signal } = attempt;
  const look = await withSession(server, { signal }, async (session) => {
    await endLeftovers(session, [...(attempt.earlierNames ?? []), applicationName]);
    return inspectServer(session);
  });
  if (!look.canReadPasswords) throw notSuperuser(server);
  try {
    return await withToolEnvironment(server, { database: server.database, applicationName }, (env) => dump(look, env));
  } catch (error) {
    // The server may be what failed: then nothing of ours goes on there for long, or the next attempt ends it.
    await withSession(server, {}, (session) => endLeftovers(session, [applicationName])).catch(() => undefined);
    throw signal.aborted ? signal.reason : error;
  }
}

const notSuperuser = (server: Server) =>
  new HoldfastError(
    'PostgresRefused',
    `'${server.user}' at ${describeServer(server)} may not read the passwords of roles, which belong to a backup of the whole server`,
    'connect as a superuser',
  );
