import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseConfiguration } from '../../src/cli/configuration.ts';
import { expectGolden } from '../golden.ts';
import { holdfast } from './command-line.ts';

const good = `
installation: homelab
repositories: { nas: { directory: /backup } }
clusters: { jigga: { server: { host: db.example.internal, password: { env: PGPASSWORD } } } }
policies:
  jigga-daily: { cluster: jigga, method: pg_dumpall, repository: nas, path: "", prefix: postgres-backup, schedule: "0 2 * * *", keep: { last: 7 } }
  jigga-tokyo: { cluster: jigga, method: pg_dumpall, repository: nas, schedule: "30 9 * * 1-5", timezone: Asia/Tokyo, exclude: [scratch], compression: zstd }
  jigga-hand: { cluster: jigga, method: pg_dumpall, repository: nas }
`;

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'holdfast-cli-'));
});
afterAll(() => rm(directory, { recursive: true }));

const check = async (text: string, ...more: string[]) => {
  const file = join(directory, 'holdfast.yaml');
  await writeFile(file, text);
  const ran = await holdfast(['config', 'check', '--config', file, ...more]);
  return {
    ...ran,
    stdout: ran.stdout.replaceAll(directory, '/etc/holdfast'),
    stderr: ran.stderr.replaceAll(directory, '/etc/holdfast'),
  };
};

describe('config check', () => {
  test('prints what it understood, with the next runs in their zone and in UTC', async () => {
    const { code, stdout, stderr } = await check(good);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectGolden(import.meta.url, 'config-check.txt', stdout);
  });

  test('shows where WAL goes, how base backups are taken and what is drilled', async () => {
    const { code, stdout } = await check(`
installation: homelab
repositories: { nas: { directory: /backup } }
clusters:
  infra: { server: { host: db }, wal: { repository: nas } }
  old: { server: { host: old }, wal: { repository: nas, maxAge: 1h, takeOver: { directory: /archive } } }
  dumped: { server: { host: dumped } }
policies:
  infra-base: { cluster: infra, method: base, repository: nas, window: 7d, fullEvery: 7, standby: { host: db-2 }, schedule: "0 2 * * *", drill: "0 5 * * 0" }
`);
    expect(code).toBe(0);
    expectGolden(import.meta.url, 'config-check-base.txt', stdout);
  });

  test('is one document for programs', async () => {
    const { code, stdout } = await check(good, '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      valid: true,
      config: { installation: 'homelab' },
      nextRuns: {
        'jigga-daily': ['2026-11-22T02:00:00.000Z', '2026-11-23T02:00:00.000Z', '2026-11-24T02:00:00.000Z'],
        'jigga-hand': [],
      },
    });
  });

  test('says what is wrong by path, and what is not YAML by line and column', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      [
        'an unknown member and a name that leads nowhere',
        good
          .replace('keep: {', 'keeep: {')
          .replace(
            'cluster: jigga, method: pg_dumpall, repository: nas }',
            'cluster: nobody, method: pg_dumpall, repository: nas }',
          ),
      ],
      ['a key that stands twice', `${good}\ninstallation: other\n`],
      ['an alias where a schedule was meant', good.replace('"0 2 * * *"', '*/5 * * * *')],
      ['a bracket that is never closed', 'installation: homelab\nclusters: { jigga: { server: { host: x }\n'],
      ['a tag that nobody knows', 'installation: !!python/object homelab\nclusters: {}\n'],
      ['two documents', `${good}\n---\n${good}`],
      ['an alias that leads nowhere', 'installation: *nobody\n'],
      ['nothing at all', ''],
      ['a list', '- installation: homelab\n'],
      [
        'what is not built yet',
        `${good}\napprovals: { restore: { quorum: 1, approvers: [{ name: alice, publicKey: key-a }] } }\n`,
      ],
    ];
    const told: string[] = [];
    for (const [what, text] of wrong) {
      const { code, stdout, stderr } = await check(text);
      expect({ what, code, stdout }).toEqual({ what, code: 3, stdout: '' });
      told.push(`# ${what}\n${stderr}`);
    }
    expectGolden(import.meta.url, 'config-errors.txt', told.join('\n'));
  });

  test('aliases that multiply end as an error, not as a heap that is full', () => {
    const levels = Array.from(
      { length: 30 },
      (_, level) =>
        `a${String(level + 1)}: &a${String(level + 1)} [*a${String(level)}, *a${String(level)}, *a${String(level)}]`,
    );
    expect(() => parseConfiguration(`a0: &a0 [x]\n${levels.join('\n')}\n`, 'bomb.yaml')).toThrow(
      /can't be read as YAML/,
    );
  });
});

describe('where the configuration is looked for', () => {
  test('--config is first, then HOLDFAST_CONFIG, then ./holdfast.yaml', async () => {
    const places = ['option', 'variable', 'here'];
    for (const place of places) {
      await mkdir(join(directory, place), { recursive: true });
      await writeFile(join(directory, place, 'holdfast.yaml'), good.replace('homelab', place));
    }
    const of = async (argv: string[], environment: Record<string, string>) => {
      const { stdout } = await holdfast(['config', 'check', '--json', ...argv], {
        directory: join(directory, 'here'),
        environment,
      });
      return (JSON.parse(stdout) as { config: { installation: string } }).config.installation;
    };
    const variable = { HOLDFAST_CONFIG: join(directory, 'variable', 'holdfast.yaml') };
    expect(await of(['--config', '../option/holdfast.yaml'], variable)).toBe('option');
    expect(await of([], variable)).toBe('variable');
    expect(await of([], { HOLDFAST_CONFIG: '' })).toBe('here');
  });

  test('one that was named must be there, even where another would be found', async () => {
    const { code, stderr } = await holdfast(['config', 'check', '--config', 'nope.yaml'], { directory });
    expect(code).toBe(3);
    expect(stderr).toContain(`there is no configuration at ${join(directory, 'nope.yaml')}`);
  });

  test('a directory is no configuration', async () => {
    const { code, stderr } = await holdfast(['config', 'check', '--config', directory]);
    expect(code).toBe(3);
    expect(stderr).toContain("can't be read");
  });
});

test('config schema prints the JSON Schema, whatever the format', async () => {
  const [plain, json] = await Promise.all([holdfast(['config', 'schema']), holdfast(['config', 'schema', '--json'])]);
  expect(plain).toEqual(json);
  expect(JSON.parse(plain.stdout)).toMatchObject({ title: 'holdfast.yaml' });
});
