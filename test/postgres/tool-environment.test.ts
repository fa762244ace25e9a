import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, stat } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Server } from '../../src/postgres/server.ts';
import { passLine, withToolEnvironment } from '../../src/postgres/tool-environment.ts';

const server: Server = {
  ...{ host: '/run/postgresql', port: 5433, user: 'postgres', password: 'a:b\\c', database: 'postgres' },
  sslmode: 'verify-full',
  sslrootcert: '/etc/ca.pem',
};
const options = { database: 'host=evil', applicationName: 'holdfast test' };

describe("a tool's environment", () => {
  it('names the server, and the database as nothing but a name', async () => {
    await withToolEnvironment(server, options, (env) => {
      expect(env).toMatchObject({
        PGHOST: '/run/postgresql',
        PGPORT: '5433',
        PGUSER: 'postgres',
        PGDATABASE: 'host=evil',
        PGSSLMODE: 'verify-full',
        PGSSLROOTCERT: '/etc/ca.pem',
        PGAPPNAME: 'holdfast test',
      });
      expect(JSON.stringify(env)).not.toContain('a:b');
      return Promise.resolve();
    });
  });

  it('keeps the password in a file that nobody else can read, until the end', async () => {
    const file = await withToolEnvironment(server, options, async (env) => {
      const passFile = env['PGPASSFILE'] ?? '';
      expect((await stat(passFile)).mode & 0o777).toBe(0o600);
      expect((await stat(dirname(passFile))).mode & 0o777).toBe(0o700);
      expect(await readFile(passFile, 'utf8')).toBe('*:*:*:*:a\\:b\\\\c\n');
      return passFile;
    });
    expect(existsSync(dirname(file))).toBe(false);
  });

  it('removes the file also after a failure, which passes through', async () => {
    let file = '';
    const failure = new Error('as it is');
    const running = withToolEnvironment(server, options, (env) => {
      file = env['PGPASSFILE'] ?? '';
      return Promise.reject(failure);
    });
    await expect(running).rejects.toBe(failure);
    expect(existsSync(file)).toBe(false);
  });

  it('has an empty file without a password: libpq looks nowhere else then', async () => {
    await withToolEnvironment({ ...server, password: '' }, options, async (env) => {
      expect(await readFile(env['PGPASSFILE'] ?? '', 'utf8')).toBe('');
    });
  });

  it('refuses a password that a pass file cannot express, without repeating it', () => {
    expect(() => passLine({ ...server, password: 'secret\n' })).toThrow(
      expect.objectContaining({ type: 'PostgresRefused', message: expect.not.stringContaining('secret') }),
    );
  });

  it('sweeps what a process that is no more has left, and nothing of others', async () => {
    const { pid } = spawnSync('true');
    const prefix = join(tmpdir(), `holdfast-pass-${hostname()}-`);
    const left = `${prefix}${String(pid)}-abcdef`;
    const ours = `${prefix}${String(process.pid)}-abcdef`;
    await mkdir(left);
    await mkdir(ours);
    // A process sweeps once, when it needs its first file: this one has already.
    const script = `import { withToolEnvironment } from './src/postgres/tool-environment.ts';
      await withToolEnvironment(${JSON.stringify(server)}, ${JSON.stringify(options)}, () => Promise.resolve());`;
    const swept = spawnSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
      encoding: 'utf8',
    });
    expect(swept.stderr).toBe('');
    expect(existsSync(left)).toBe(false);
    expect((await readdir(tmpdir())).some((name) => join(tmpdir(), name) === ours)).toBe(true);
    spawnSync('rmdir', [ours]);
  });
});
