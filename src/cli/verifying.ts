import { verifyStoredBase } from '../activities/verify-base.ts';
import { verifyStored, type StoredVerification } from '../activities/verify-stored.ts';
import type { Config } from '../domain/config.ts';
import { formatBytes, formatSeconds } from '../domain/format.ts';
import { findTool } from '../process/environment.ts';
import type { Repository } from '../storage/repository.ts';
import { findCompressors, type Compressors } from '../streams/compress.ts';
import { locate, manifestOf, openLocated, readCatalogs, repositoryOpener, type Found } from './catalogs.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { movingText, Rate } from './moving.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';

/** Between two changes of the live line: it is told of every chunk. */
const liveEveryMs = 250;

/** Reads a backup back, whole, as the worker's own verification does. Damage is an outcome, not an error. */
export async function verifyBackup(
  context: Context,
  output: Output,
  config: Config,
  asked: { readonly id: string; readonly cluster: string | undefined },
  signal: AbortSignal,
): Promise<'passed' | 'failed'> {
  const open = repositoryOpener(context);
  const located = locate(await readCatalogs(config, open), asked.id, asked.cluster);
  const manifest = manifestOf(located);
  const find = (name: string) => findTool(name, context.environment['PATH']);
  const compressors = await findCompressors(find, signal);
  const startedMs = context.clock.now();
  try {
    const repository = openLocated(config, open, located.located);
    const found = await readBack(located, repository, compressors, {
      signal,
      onProgress: liveProgress(context, output, manifest.id),
    });
    const seconds = (context.clock.now() - startedMs) / 1000;
    output.live(null);
    if (found.outcome === 'passed') {
      const read = `${formatBytes(found.storedBytes)} stored, ${formatBytes(found.plainBytes)} unpacked`;
      output.line(styled('green', 'passed'), `  ${manifest.id}: ${read}, in ${formatSeconds(seconds)}`);
      for (const sentence of unproven(located)) output.warn(sentence);
    } else {
      output.line(styled('red', 'DAMAGED'), `  ${manifest.id}`);
      for (const damage of found.damage) output.line(`  ${damage}`);
      output.warn('nothing was written: only a verification by a worker keeps the backup from being restored');
    }
    const { outcome, damage, storedBytes, plainBytes } = found;
    output.document({
      id: manifest.id,
      cluster: manifest.cluster,
      method: manifest.method,
      repository: located.located.repository,
      outcome,
      damage,
      storedBytes,
      plainBytes,
      seconds,
      unproven: unproven(located),
    });
    return outcome;
  } catch (error) {
    output.live(null);
    if (signal.aborted)
      throw new CommandError(
        'Interrupted',
        `backup ${manifest.id} was not read to its end`,
        'nothing was changed; verify it again when you like',
      );
    throw error;
  }
}

const readBack = (
  found: Found,
  repository: Repository,
  compressors: Compressors,
  options: Parameters<typeof verifyStored>[3],
): Promise<StoredVerification> =>
  found.kind === 'base'
    ? verifyStoredBase(repository, found.located.base.manifest, compressors, options)
    : verifyStored(repository, found.located.backup.manifest, compressors, options);

/** What reading a base backup back doesn't show, a sentence each. */
function unproven(found: Found): string[] {
  if (found.kind !== 'base') return [];
  const { manifest } = found.located.base;
  return [
    ...(manifest.archives.some(({ compression }) => compression === 'lz4')
      ? ['what is compressed by lz4 was checked by its digests and not unpacked']
      : []),
    ...(manifest.parent === null ? [] : [`the backup that it builds on, ${manifest.parent}, was not read`]),
    `that a server starts from it is not shown by this: 'holdfast drill ${manifest.policy}' does`,
  ];
}

export function liveProgress(
  { clock }: Context,
  output: Output,
  id: string,
): (bytes: number, totalBytes: number) => void {
  const rate = new Rate();
  let shownAtMs = 0;
  return (bytes, totalBytes) => {
    const nowMs = clock.now();
    if (!output.terminal || nowMs - shownAtMs < liveEveryMs) return;
    shownAtMs = nowMs;
    const moving = {
      activity: 'verify',
      attempt: 1,
      doing: `reading ${id}`,
      bytes,
      totalBytes,
      done: undefined,
      total: undefined,
    };
    output.live(['  ', movingText(moving, rate.observe(moving, nowMs))]);
  };
}
