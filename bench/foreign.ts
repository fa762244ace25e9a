import { mkdir, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { planRestore } from '../src/activities/plan-restore.ts';
import { dropCopy, loadCopy } from '../src/activities/restore-copy.ts';
import { publishManifest, surveyForAdoption } from '../src/activities/survey-dump.ts';
import { backupSpec, restoreSpec } from '../src/domain/specs.ts';
import { restoreArgument } from '../src/domain/arguments.ts';
import { identity } from './logical.ts';
import { close, fill, openStage, seconds, shell } from './stage.ts';
import { figure, type Figure } from './table.ts';

/** A 1 GB file that pg_dumpall | gzip left, of three databases; the one in the middle is wanted. */
export async function foreignDump(repeat: number): Promise<Figure[]> {
  const stage = await openStage(15);
  try {
    const { server, deps, config, directory, work } = stage;
    for (const [name, megabytes] of [
      ['before', 300],
      ['wanted', 400],
      ['zafter', 300],
    ] as const)
      await fill(server, name, megabytes);
    const file = join(directory, 'left', 'all.sql.gz');
    await mkdir(join(directory, 'left'));
    await shell(stage, `pg_dumpall | gzip > '${file}'`);
    const hourAgo = new Date(Date.now() - 3_600_000);
    await utimes(file, hourAgo, hourAgo);
    const adoption = backupSpec(config, { policy: 'foreign' });
    const argument = { policy: 'foreign', dump: 'all', by: 'bench', reason: 'bench', allow: [] };
    let manifest: { readonly manifest: Parameters<typeof publishManifest>[1]['manifest'] } | undefined;
    const survey = await seconds(async () => {
      manifest = await surveyForAdoption(deps, { spec: adoption, argument, run: identity(1), attempt: 1 }, work);
    });
    if (manifest === undefined) throw new Error('the dump was not surveyed');
    await publishManifest(deps, { repository: adoption.repository, manifest: manifest.manifest }, work);
    console.log(`  surveyed in ${survey.toFixed(1)} s, with every row counted`);
    const spec = restoreSpec(
      config,
      restoreArgument.parse({ cluster: 'bench', backup: 'all', database: 'wanted', into: 'copy' }),
    );
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      const run = identity(turn);
      const planned = await planRestore(deps, { spec, run });
      ours.push(await seconds(() => loadCopy(deps, { spec, planned, run }, work)));
      await dropCopy(deps, { spec, planned, run });
      const awk = `zcat '${file}' | awk '/^\\\\connect /{f=($2=="wanted"); next} f'`;
      theirs.push(await shell(stage, `createdb theirs; ${awk} | psql -q -X theirs > /dev/null`));
      await server.psql('postgres', 'DROP DATABASE theirs');
    }
    return [figure('one database out of a foreign 1 GB dump, against zcat | awk | psql', 's', 1, ours, theirs)];
  } finally {
    await close(stage);
  }
}
