/**
 * Holdfast beside what people use today, in one run, as ratios: the machine's own speed and noise hit both sides.
 *
 * --json FILE   writes one row per figure; the exit code says whether every goal is met
 * --only TEXT   only figures whose name holds the text
 * --repeat N    measurements of each, alternating (default 3)
 */
import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { restoreOfAll } from './archives.ts';
import { emptyCluster } from './empty-cluster.ts';
import { foreignDump } from './foreign.ts';
import { logicalBackup, oneDatabase } from './logical.ts';
import { workerMemory } from './memory.ts';
import { backupToS3 } from './s3.ts';
import { printTable, type Figure } from './table.ts';

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', default: '' },
    repeat: { type: 'string', default: '3' },
  },
});
const repeat = Number(values.repeat);

const groups: readonly { readonly names: string; readonly measure: () => Promise<Figure[]> }[] = [
  { names: 'backup pg_dumpall', measure: () => logicalBackup(repeat) },
  { names: 'one database restore', measure: () => oneDatabase(repeat) },
  { names: 'empty cluster', measure: () => emptyCluster(repeat) },
  { names: 'S3 backup', measure: () => backupToS3(repeat) },
  { names: 'archives all restore', measure: () => restoreOfAll(repeat) },
  { names: 'foreign dump', measure: () => foreignDump(repeat) },
  { names: 'memory', measure: () => workerMemory() },
  { names: 'memory of S3', measure: () => workerMemory('s3') },
];

const figures: Figure[] = [];
for (const { names, measure } of groups) {
  if (!names.includes(values.only)) continue;
  console.log(`measuring: ${names} …`);
  figures.push(...(await measure()));
}
console.log(
  `\n${String(cpus().length)} × ${cpus()[0]?.model ?? 'unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Node ${process.version}\n`,
);
printTable(figures);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(figures, null, 2)}\n`);
process.exitCode = figures.every(({ met }) => met) ? 0 : 1;
