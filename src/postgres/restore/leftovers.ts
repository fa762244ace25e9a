import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../domain/errors.ts';
import { withSession, type Server } from '../connection.ts';

const tries = 60;
const pauseMs = 250;

/**
 * Ends what a tool that was killed left running in the server, and waits until it is gone, 15 s at most. Never fails:
 * returns why something may still be there, null if nothing is.
 * @param applicationName nobody else has it
 */
export async function endBackends(server: Server, applicationName: string): Promise<string | null> {
  try {
    return await withSession(server, { applicationName: 'holdfast clean-up' }, async (session) => {
      for (let attempt = 0; attempt < tries; attempt += 1) {
        const found = await session.query(
          'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()',
          [applicationName],
        );
        if (found.length === 0) return null;
        await sleep(pauseMs);
      }
      return `a session named '${applicationName}' does not end`;
    });
  } catch (error) {
    return messageOf(error);
  }
}
