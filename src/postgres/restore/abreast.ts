import { connect, type Server, type Session } from '../connection.ts';

export interface AbreastOptions {
  readonly database: string;
  readonly applicationName: string;
  /** How many sessions at once, at most. */
  readonly sessions: number;
  readonly signal: AbortSignal;
}

/**
 * Does each piece of work once, several at the same time, each in one of a few sessions. The first failure ends all of
 * them and is what this rejects with.
 */
export async function abreast<T>(
  server: Server,
  work: readonly T[],
  options: AbreastOptions,
  run: (session: Session, item: T) => Promise<void>,
): Promise<void> {
  const { database, applicationName, signal } = options;
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const queue = work.values();
  const worker = async () => {
    try {
      const session = await connect(server, { database, applicationName, signal: either });
      try {
        for (const item of queue) {
          either.throwIfAborted();
          await run(session, item);
        }
      } finally {
        await session.close();
      }
    } catch (error) {
      failed.abort(error);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.min(options.sessions, work.length)) }, worker));
  signal.throwIfAborted();
  failed.signal.throwIfAborted();
}
