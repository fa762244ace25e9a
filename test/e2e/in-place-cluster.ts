/** A cluster whose server may be recovered in its place: by pg_ctl, as its own user. */
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { serverUser } from '../../parts/server-user.ts';
import type { WorkerProcess, World } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import { clusterAt } from './ledger.ts';
import { copyOf, note, recover, startArchive, startArchiving, stopArchiving, untilArchived } from './recovering.ts';
import type { Copy, Moment } from './recovering.ts';
import { backUp, untilDecision, untilProgress } from './runs.ts';

const run = promisify(execFile);

export const words = { by: 'alice', reason: 'a bad day' };
export const planOf = (digest: string | null | undefined) => ({ ...words, plan: (digest ?? '').slice(0, 12) });

export interface InPlace {
  readonly world: World;
  readonly server: PostgresServer;
  readonly worker: WorkerProcess;
  /** Between the notes 'first' and 'second'. */
  readonly first: Moment;
  readonly notes: () => Promise<string>;
  /** Directories beside the server's own, of recoveries that aren't over. */
  readonly asides: () => Promise<string[]>;
  /** A recovery to `first`, approved, and paused there. */
  readonly recovered: () => Promise<Copy>;
  /** The same, promoted. */
  readonly promoted: () => Promise<Copy>;
  readonly stop: () => Promise<void>;
}

/** With a worker, a base backup, an archive, and all of it archived. */
export async function startInPlace(): Promise<InPlace> {
  const { world, server } = await startArchiving({ major: 15 });
  const owner = serverUser();
  const pgCtl = (...args: readonly string[]): [string, ...string[]] => {
    const own = [join(server.serverBinDir, 'pg_ctl'), '-D', server.dataDir, '-w', '-t', '300', ...args];
    return owner === undefined
      ? (own as [string, ...string[]])
      : ['setpriv', `--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups', '--', ...own];
  };
  await world.configure({
    clusters: {
      main: {
        ...clusterAt(server, 'main'),
        wal: { repository: 'nas', maxAge: '1h' },
        instance: {
          dataDirectory: server.dataDir,
          stop: pgCtl('-m', 'fast', 'stop'),
          start: pgCtl('-l', join(dirname(server.dataDir), 'service.log'), 'start'),
        },
      },
    },
    policies: { base: { cluster: 'main', method: 'base', repository: 'nas', window: '7d' } },
  });
  const worker = await world.startWorker();
  await startArchive(world);
  await backUp(world, 'base');
  const first = await note(server, 'first');
  await note(server, 'second');
  await untilArchived(world, server);
  const recovered = async () => {
    const handle = await recover(world, { lsn: first.lsn }, { inPlace: true });
    const { planDigest } = await untilDecision<RecoveryPlan>(handle);
    await handle.signal('approve', planOf(planDigest));
    return copyOf(world, handle);
  };
  return {
    world,
    server,
    worker,
    first,
    notes: () => server.psql('postgres', "SELECT string_agg(text, ',') FROM notes"),
    asides: async () =>
      (await readdir(dirname(server.dataDir))).filter((name) => name.startsWith(`${basename(server.dataDir)}.`)),
    recovered,
    async promoted() {
      const copy = await recovered();
      await copy.handle.signal('promote', words);
      await untilProgress<RecoveryPlan>(
        copy.handle,
        ({ waitingFor, followUps }) => waitingFor === 'follow-up' && followUps.includes('undo'),
      );
      return copy;
    },
    async stop() {
      // By now it is pg_ctl's, not this process's.
      const [file, ...args] = pgCtl('-m', 'immediate', 'stop');
      await run(file, args, { cwd: '/' }).catch(() => undefined);
      await stopArchiving({ world });
    },
  };
}
