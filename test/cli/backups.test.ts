import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { Manifest } from '../../src/domain/manifest.ts';
import { manifest as sample } from '../domain/samples.ts';
import { expectGolden } from '../golden.ts';
import { holdfast } from './command-line.ts';

let directory: string;
let config: string;

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** A small backup that is what its manifest says: four members, gzip. */
async function addBackup(id: string, more: Partial<Manifest> = {}): Promise<void> {
  const texts: readonly (readonly [Manifest['parts'][number]['name'], string])[] = [
    ['globals', 'CREATE ROLE app;\n'],
    ['properties', "COMMENT ON DATABASE gatus IS 'x';\n"],
    ['content', '\\connect gatus\nSELECT 1;\n--\n-- PostgreSQL database dump complete\n--\n'],
    ['footer', '--\n-- PostgreSQL database cluster dump complete\n--\n'],
  ];
  const key = `${id}.sql.gz`;
  const members = texts.map(([, text]) => gzipSync(text, { level: 0 }));
  let offset = 0;
  const parts = texts.map(([name], index) => {
    const member = members[index] ?? Buffer.alloc(0);
    const part = {
      name,
      object: key,
      offset,
      length: member.length,
      sha256: sha256(member),
      plain: null,
      compression: 'gzip' as const,
      encryption: null,
    };
    offset += member.length;
    return name === 'properties' || name === 'content' ? { ...part, database: 'gatus' } : part;
  });
  const whole = Buffer.concat(members);
  await writeFile(join(directory, key), whole);
  const made = sample({ id, objects: [{ key, bytes: whole.length, sha256: sha256(whole) }], parts, ...more });
  await writeFile(join(directory, `${id}.manifest.json`), JSON.stringify(made));
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
  config = join(directory, '..', `${directory.split('/').at(-1) ?? ''}.yaml`);
  await writeFile(
    config,
    `
installation: homelab
repositories: { nas: { directory: ${directory} }, away: { directory: ${directory}-away } }
clusters: { jigga: { server: { host: db } }, other: { server: { host: db } } }
policies: { jigga-daily: { cluster: jigga, method: pg_dumpall, repository: nas } }
`,
  );
  const { code } = await holdfast(['repositories', 'init', 'nas', '--config', config]);
  expect(code).toBe(0);
  await addBackup('postgres-backup-20261120-020000', {
    startedAt: '2026-11-20T02:00:00.000Z',
    finishedAt: '2026-11-20T02:00:09.000Z',
  });
  await addBackup('postgres-backup-20261121-020000');
  await addBackup('other-20261121-020000', { cluster: 'other', policy: 'gone', status: 'partial' });
  await writeFile(join(directory, 'broken-20261121-020000.manifest.json'), '{"version": 1, "id": "\u001b[2J');
});
afterAll(async () => {
  await rm(directory, { recursive: true });
  await rm(config);
});

const run = async (...argv: string[]) => {
  const ran = await holdfast([...argv, '--config', config]);
  const tidy = (text: string) => text.replaceAll(directory, '/backup');
  return { ...ran, stdout: tidy(ran.stdout), stderr: tidy(ran.stderr) };
};

describe('backups list', () => {
  test('shows every backup, and at the end what it could not read', async () => {
    const { code, stdout, stderr } = await run('backups', 'list');
    expect(code).toBe(5);
    expectGolden(import.meta.url, 'backups-list.txt', stdout);
    expect(stderr).toContain(
      "note: manifest broken-20261121-020000.manifest.json in repository nas can't be read: not JSON",
    );
    expect(stderr).toContain("holdfast: repository away can't be read from here");
    expect(stderr).toContain("for example in the worker's pod");
    expect(stderr).not.toContain('\u001b');
  });

  test('shows one cluster or one repository', async () => {
    const one = await run('backups', 'list', '--repository', 'nas', '--cluster', 'other', '--json');
    expect(one.code).toBe(0);
    expect(JSON.parse(one.stdout)).toMatchObject({
      backups: [
        { id: 'other-20261121-020000', cluster: 'other', status: 'partial', repository: 'nas', verification: 'none' },
      ],
      unreadable: [{ manifestKey: 'broken-20261121-020000.manifest.json' }],
      unreachable: [],
    });
    const none = await run('backups', 'list', '--repository', 'nas', '--cluster', 'nobody');
    expect(none).toMatchObject({
      code: 0,
      stdout: 'no backups of cluster nobody, and the configuration knows no such cluster\n',
    });
  });

  test('a repository that is not here is said plainly', async () => {
    const { code, stdout, stderr } = await run('backups', 'list', '--repository', 'away', '--json');
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(JSON.parse(stderr)).toMatchObject({
      error: { type: 'StoreNotMounted', message: expect.stringContaining("can't be read from here") },
    });
  });

  test('a repository that nobody configured is wrong usage', async () => {
    expect(await run('backups', 'list', '--repository', 'nope')).toMatchObject({ code: 2 });
  });
});

describe('backups show', () => {
  test('shows what a backup holds, and how to read it without Holdfast', async () => {
    const { code, stdout } = await run('backups', 'show', 'postgres-backup-20261121-020000.sql.gz');
    expect(code).toBe(0);
    expectGolden(
      import.meta.url,
      'backups-show.txt',
      stdout.replace(/sha-256 [0-9a-f]{64}/, 'sha-256 …').replace(/\d+ B/, 'N B'),
    );
  });

  test('latest is of one cluster', async () => {
    const { stdout } = await run('backups', 'show', 'latest', '--cluster', 'jigga', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      repository: 'nas',
      manifest: { id: 'postgres-backup-20261121-020000' },
    });
  });

  test('what is not there may lie where nobody could look', async () => {
    expect(await run('backups', 'show', 'postgres-backup-20200101-020000')).toMatchObject({ code: 5 });
    expect(await run('backups', 'show', '../../etc/passwd')).toMatchObject({ code: 2 });
  });

  test('an id that is in nobody’s catalog is not found', async () => {
    await mkdir(`${directory}-away`);
    try {
      expect(await run('repositories', 'init', 'away')).toMatchObject({ code: 0 });
      const { code, stderr } = await run('backups', 'show', 'postgres-backup-20200101-020000');
      expect({ code, stderr }).toEqual({
        code: 4,
        stderr: "holdfast: no backup is named 'postgres-backup-20200101-020000'\n  hint: see 'holdfast backups list'\n",
      });
      expect(await run('backups', 'show', 'latest')).toMatchObject({ code: 2 });
      expect(await run('backups', 'show', 'latest', '--cluster', 'other')).toMatchObject({ code: 4 });
    } finally {
      await rm(`${directory}-away`, { recursive: true });
    }
  });
});

describe('backups verify', () => {
  test('reads a backup back, and says what is damaged', async () => {
    const whole = await run('backups', 'verify', 'postgres-backup-20261120-020000');
    expect(whole).toMatchObject({ code: 0, stderr: '' });
    expect(whole.stdout).toMatch(
      /^passed {2}postgres-backup-20261120-020000: \d+ B stored, \d+ B unpacked, in 0.0 s\n$/,
    );
    await appendFile(join(directory, 'postgres-backup-20261120-020000.sql.gz'), 'x');
    const damaged = await run('backups', 'verify', 'postgres-backup-20261120-020000', '--json');
    expect(damaged.code).toBe(8);
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      outcome: 'failed',
      damage: [expect.stringContaining('bytes long')],
    });
  });
});

describe('repositories init', () => {
  test('done again changes nothing', async () => {
    const { code, stdout } = await run('repositories', 'init', 'nas');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\/backup is repository \S+ already; nothing was changed\n$/);
  });

  test('a directory that is missing is not made', async () => {
    const { code, stderr } = await run('repositories', 'init', 'away');
    expect(code).toBe(5);
    expect(stderr).toContain('does not exist');
  });
});
