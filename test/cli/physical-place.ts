import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BaseBackup, BaseManifest } from '../../src/domain/base-manifest.ts';
import { walHistoryKey, walSegmentKey } from '../../src/domain/wal-archive.ts';
import { segmentName } from '../../src/domain/wal.ts';
import { writeTrailer } from '../../src/storage/wal/trailer.ts';
import { base, segmentBytes, system, type BaseWish } from '../domain/physical-samples.ts';
import { holdfast, type Ran } from './command-line.ts';

/** A directory that is a repository, a configuration beside it, and what physical backups leave in it. */
export interface PhysicalPlace {
  readonly directory: string;
  configure(yaml: string): Promise<void>;
  /** The backup's files are what its manifest says. */
  addBase(wish: BaseWish): Promise<BaseBackup>;
  /** Segments whose ends tell what they are, and whose bytes nobody reads here. */
  addWal(timeline: number, first: number, last: number, endedAt?: string): Promise<void>;
  addHistory(timeline: number, text: string): Promise<void>;
  write(key: string, body: Uint8Array | string): Promise<void>;
  run(...argv: readonly string[]): Promise<Ran>;
  remove(): Promise<void>;
}

export async function physicalPlace(): Promise<PhysicalPlace> {
  const top = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  const directory = join(top, 'nas');
  const config = join(top, 'holdfast.yaml');
  await mkdir(directory);
  const write = async (key: string, body: Uint8Array | string) => {
    const path = join(directory, key);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, body);
  };
  const place: PhysicalPlace = {
    directory,
    write,
    configure: (yaml) =>
      writeFile(
        config,
        `installation: homelab\nrepositories: { nas: { directory: ${directory} }, away: { directory: ${top}/away } }\n${yaml}`,
      ),
    addBase: async (wish) => {
      const body = gzipSync(Buffer.alloc(1024), { level: 1 });
      const manifestBody = gzipSync('{ "PostgreSQL-Backup-Manifest-Version": 1 }', { level: 1 });
      const root = `infra/physical/${wish.systemIdentifier ?? system}/${wish.id}`;
      const [archive, backupManifest] = [
        object(`${root}/base.tar.gz`, body),
        object(`${root}/backup_manifest.gz`, manifestBody),
      ];
      const made = base({
        ...wish,
        more: {
          archives: [{ ...archive, tablespace: null, compression: 'gzip', plainBytes: 1024 }],
          backupManifest: { ...backupManifest, compression: 'gzip' },
          objects: [archive, backupManifest],
          ...wish.more,
        },
      });
      await write(archive.key, body);
      await write(backupManifest.key, manifestBody);
      await write(made.manifestKey, JSON.stringify(made.manifest));
      return made;
    },
    addWal: async (timeline, first, last, endedAt) => {
      for (let number = first; number <= last; number += 1) {
        const segment = segmentName(timeline, BigInt(number), segmentBytes);
        const trailer = writeTrailer(
          {
            version: 1,
            segment,
            timeline,
            systemIdentifier: system,
            bytes: segmentBytes,
            sha256: 'a'.repeat(64),
            endedAt: number === last ? (endedAt ?? null) : null,
            endLsn: null,
          },
          'zstd',
        );
        await write(
          walSegmentKey('infra', system, timeline, segment, 'zst'),
          Buffer.concat([Buffer.from('x'), trailer]),
        );
      }
    },
    addHistory: (timeline, text) => write(walHistoryKey('infra', system, timeline), text),
    run: async (...argv) => {
      const ran = await holdfast([...argv, '--config', config]);
      const tidy = (text: string) => text.replaceAll(top, '/srv');
      return { ...ran, stdout: tidy(ran.stdout), stderr: tidy(ran.stderr) };
    },
    remove: () => rm(top, { recursive: true }),
  };
  await place.configure('clusters: {}\n');
  const { code, stderr } = await place.run('repositories', 'init', 'nas');
  if (code !== 0) throw new Error(stderr);
  return place;
}

const object = (key: string, body: Uint8Array): BaseManifest['objects'][number] => ({
  key,
  bytes: body.length,
  sha256: createHash('sha256').update(body).digest('hex'),
});
