import { join } from 'node:path';
import { planRestore } from '../src/activities/plan-restore.ts';
import { restoreCluster } from '../src/activities/restore-cluster.ts';
import { restoreArgument } from '../src/domain/arguments.ts';
import { parseConfig } from '../src/domain/config.ts';
import { restoreSpec } from '../src/domain/specs.ts';
import { startPostgres, type PostgresServer } from '../parts/postgres-server.ts';
import { backUp, identity } from './logical.ts';
import { close, fillTables, openStage, seconds, settings, shell, type Stage } from './stage.ts';
import { figure, type Figure } from './table.ts';

/**
 * In megabytes of dump, in two databases of four tables each. How much is gained by several connections at once depends
 * on how even databases and tables are: where one table holds nearly everything, nothing is.
 */
const sizes = { small: 600, big: 1200 };

/** Every database into an empty server, with statistics; ours with its comparison besides. */
export async function restoreOfAll(repeat: number): Promise<Figure[]> {
  const stage = await openStage(15);
  try {
    for (const [database, megabytes] of Object.entries(sizes)) await fillTables(stage.server, database, megabytes);
    await backUp(stage, 1, 'archives');
    const file = join(stage.directory, '..', 'all.sql.gz');
    await shell(stage, `pg_dumpall | gzip > '${file}'`);
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      ours.push(await intoEmpty((target) => fillFrom(stage, target, turn)));
      theirs.push(
        // Over the socket: the dump changes the password.
        await intoEmpty((target) =>
          shell(
            { server: target },
            `export PGHOST='${target.socketDir}'; zcat '${file}' | psql -q -X -d postgres > /dev/null 2>&1; vacuumdb -q --all --analyze-only`,
          ),
        ),
      );
    }
    return [
      figure(
        'all databases by method pg_dump restored, against zcat all.sql.gz | psql, vacuumdb',
        's',
        0.8,
        ours,
        theirs,
      ),
    ];
  } finally {
    await close(stage);
  }
}

async function intoEmpty(work: (target: PostgresServer) => Promise<unknown>): Promise<number> {
  const target = await startPostgres({ major: 15, settings });
  try {
    return await seconds(() => work(target));
  } finally {
    await target.stop('immediate');
  }
}

async function fillFrom(
  { config, deps, work }: Stage,
  { host, port, password }: PostgresServer,
  turn: number,
): Promise<void> {
  const clusters = {
    ...config.clusters,
    target: { server: { host, port, password: { env: 'TARGET' }, sslmode: 'disable' } },
  };
  const widened = parseConfig({ ...config, clusters });
  const withTarget = {
    ...deps,
    config: () => Promise.resolve(widened),
    secret: ({ env }: { readonly env?: string | undefined }) =>
      env === 'TARGET' ? Promise.resolve(password) : deps.secret({ env }),
  };
  const spec = restoreSpec(widened, restoreArgument.parse({ cluster: 'bench', onto: 'target' }));
  const run = identity(turn);
  const planned = await planRestore(withTarget, { spec, run });
  const report = await restoreCluster(withTarget, { spec, planned, run }, work);
  if (!report.ok) throw new Error(`the restored cluster differs: ${report.differences.join('; ')}`);
}
