/**
 * Holdfast beside what people use today, in one run, as ratios: the machine's own speed and noise hit both sides. `npm run
 * bench` starts it with Node's settings of a worker (src/cli/main.ts).
 *
 * --json FILE   writes one row per figure; the exit code says whether every goal is met
 * --only TEXT   only groups in whose name a word begins with the text
 * --repeat N    measurements of each, alternating (default 3)
 * --scale X     of the sizes of physical backups and logs, for a quick look (default 1)
 */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { restoreOfAll } from './archives.ts';
import { baseBackup, baseRestore, baseToS3 } from './base.ts';
import { emptyCluster } from './empty-cluster.ts';
import { foreignDump } from './foreign.ts';
import { increments } from './increments.ts';
import { logicalBackup, oneDatabase } from './logical.ts';
import { baseMemory, workerMemory } from './memory.ts';
import { backupToS3 } from './s3.ts';
import { printTable, type Figure } from './table.ts';
import { walArchive } from './wal.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', default: '' },
    repeat: { type: 'string', default: '3' },
    scale: { type: 'string', default: '1' },
  },
});
const repeat = Number(values.repeat);
const scale = Number(values.scale);

const groups: readonly { readonly names: string; readonly measure: () => Promise<Figure[]> }[] = [
  { names: 'backup pg_dumpall', measure: () => logicalBackup(repeat) },
  { names: 'one database restore', measure: () => oneDatabase(repeat) },
  { names: 'empty cluster', measure: () => emptyCluster(repeat) },
  { names: 'S3 backup', measure: () => backupToS3(repeat) },
  { names: 'archives all restore', measure: () => restoreOfAll(repeat) },
  { names: 'foreign dump', measure: () => foreignDump(repeat) },
  { names: 'memory', measure: () => workerMemory() },
  { names: 'memory of S3', measure: () => workerMemory('s3') },
  { names: 'base backup', measure: () => baseBackup(repeat, scale) },
  { names: 'base restore', measure: () => baseRestore(repeat, scale) },
  { names: 'base increments', measure: () => increments(repeat, scale) },
  { names: 'base to S3 barman', measure: () => baseToS3(repeat, scale) },
  { names: 'wal archive', measure: () => walArchive(repeat, scale) },
  { names: 'memory of base', measure: () => baseMemory(scale) },
];

const figures: Figure[] = [];
const chosen = groups.filter(({ names }) => ` ${names}`.includes(` ${values.only}`));
if (chosen.length === 0) throw new Error(`nothing is measured under the name '${values.only}'`);
for (const { names, measure } of chosen) {
  console.log(`measuring: ${names} …`);
  figures.push(...(await measure()));
}
console.log(
  `\n${String(cpus().length)} × ${cpus()[0]?.model ?? 'unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}\n`,
);
printTable(figures);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exitCode = figures.every(({ met }) => met) ? 0 : 1;
