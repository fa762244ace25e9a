import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { freePort } from '../../parts/free-port.ts';
import { availableMajors, startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';
import { findVersitygw } from '../../scripts/setup/places.mjs';
import { runCommandLine } from '../../src/cli/run-command-line.ts';
import { desk } from '../cli/command-line.ts';

interface Service {
  readonly image: string;
  readonly command?: readonly string[];
  readonly entrypoint?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly restart?: string;
}

const top = join(import.meta.dirname, '../..');
const text = readFileSync(join(top, 'docker-compose.yml'), 'utf8');
const compose = parse(text, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(compose.services);
const config = join(top, 'deploy/compose/holdfast.yaml');
const readme = readFileSync(join(top, 'deploy/compose/README.md'), 'utf8');

/** A value as compose sees it where nobody has set a variable. */
const byDefault = (value: string) => value.replaceAll(/\$\{[A-Z0-9_]+:-([^}]*)\}/g, '$1');
const service = (name: string): Service => {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`there is no service ${name}`);
  return found;
};

describe('docker-compose.yml', () => {
  test('gives every variable a default and a line in the README', () => {
    const uses = [...text.matchAll(/\$\{([A-Z0-9_]+)(:-)?/g)];
    expect(uses.length).toBeGreaterThan(10);
    expect(uses.filter(([, , fallback]) => fallback === undefined).map(([use]) => use)).toEqual([]);
    expect([...new Set(uses.map(([, name]) => name))].filter((name) => !readme.includes(`\`${name ?? ''}\``))).toEqual(
      [],
    );
  });

  test('waits only for services that are there, and for what they can do', () => {
    for (const [name, { depends_on = {} }] of services) {
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const { healthcheck, restart } = service(other);
        if (condition === 'service_healthy')
          expect([name, other, healthcheck !== undefined]).toEqual([name, other, true]);
        else expect([condition, restart]).toEqual(['service_completed_successfully', undefined]);
      }
    }
  });

  test('publishes ports on the loopback address only', () => {
    const ports = services.flatMap(([, { ports: published = [] }]) => published.map(byDefault));
    expect(ports).toHaveLength(5);
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
    expect(new Set(ports.map((port) => port.split(':')[1])).size).toBe(5);
  });

  test('checks the health of whatever runs on, and lets nothing else run on', () => {
    for (const [name, { healthcheck, restart }] of services)
      expect([name, healthcheck !== undefined]).toEqual([name, restart === 'unless-stopped']);
  });

  test('mounts volumes that are declared and files that are there, and names no registry', () => {
    for (const [, { volumes = [], image }] of services) {
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('./')) expect(statSync(join(top, source)).isFile()).toBe(true);
        else expect(Object.keys(compose.volumes)).toContain(source);
      }
      expect(byDefault(image).split('/').slice(0, -1).join('/')).not.toMatch(/[.:]/);
    }
  });

  test('has for every secret that the configuration refers to a variable of the worker', () => {
    const named = [...readFileSync(config, 'utf8').matchAll(/env: ([A-Z0-9_]+)/g)].map(([, name]) => name);
    expect(named).toHaveLength(3);
    expect(Object.keys(service('worker').environment ?? {})).toEqual(expect.arrayContaining(named));
  });
});

describe('secrets of one’s own', () => {
  test('are made once, for the owner alone, and never replaced', () => {
    const directory = mkdtempSync(join(tmpdir(), 'holdfast-env-'));
    try {
      const file = join(directory, '.env');
      const make = () => execFileSync('sh', [join(top, 'deploy/compose/make-env.sh'), file], { stdio: 'pipe' });
      make();
      const made = readFileSync(file, 'utf8');
      const lines = made.trim().split('\n');
      const defaults = [...text.matchAll(/\$\{([A-Z0-9_]+):-for-trying-out-only\}/g)].map(([, name]) => name);
      expect(lines.map((line) => line.split('=')[0]).sort()).toEqual([...new Set(defaults)].sort());
      for (const line of lines) expect(line).toMatch(/^[A-Z0-9_]+=[A-Za-z0-9_-]{32}$/);
      expect(new Set(lines.map((line) => line.split('=')[1])).size).toBe(lines.length);
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(make).toThrow();
      expect(readFileSync(file, 'utf8')).toBe(made);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('what the containers run', () => {
  const environment = {
    TEMPORAL_ADDRESS: '127.0.0.1:1',
    SAMPLE_PASSWORD: 'x',
    S3_ACCESS_KEY_ID: 'for-trying-out-only',
    S3_SECRET_ACCESS_KEY: 'for-trying-out-only',
  };
  const holdfast = async (command: readonly string[], file: string) => {
    const context = desk({ environment });
    const code = await runCommandLine([...command, '--config', file], context);
    return { code, said: `${context.stdout.text}${context.stderr.text}` };
  };

  test('has a configuration that this version takes', async () => {
    expect(await holdfast(['config', 'check'], config)).toMatchObject({ code: 0 });
  });

  test.each(['schedules'])(
    'is a command line that this version takes, and only Temporal is missing: %s',
    async (name) => {
      const { code, said } = await holdfast(service(name).command ?? [], config);
      expect([code, said]).toEqual([5, expect.stringContaining('127.0.0.1:1')]);
    },
  );

  test('is a worker whose command line this version takes, and only Temporal is missing', async () => {
    const port = String(await freePort());
    const command = (service('worker').command ?? []).map((word) => word.replace('0.0.0.0:8080', `127.0.0.1:${port}`));
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', join(top, 'src/cli/main.ts'), ...command, '--config', config],
      {
        env: { ...environment, PATH: process.env['PATH'], HOME: process.env['HOME'] },
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number | null];
    expect([code, said]).toEqual([5, expect.stringContaining('no Temporal server answers at 127.0.0.1:1')]);
  });

  describe('with its store', () => {
    let scratch: string;
    beforeAll(() => {
      scratch = mkdtempSync(join(tmpdir(), 'holdfast-compose-'));
    });
    afterAll(() => {
      rmSync(scratch, { recursive: true });
    });

    test('marks a directory and, in the S3 server as it is started here, a bucket that is a directory', async () => {
      const versitygw = findVersitygw();
      if (versitygw === undefined) throw new Error('there is no versitygw here. Type: node scripts/setup.mjs test');
      const port = String(await freePort());
      const data = join(scratch, 'data');
      const [, , made = ''] = service('bucket').entrypoint ?? [];
      mkdirSync(made.replace('/data', data), { recursive: true });
      mkdirSync(join(scratch, 'backup'));
      const file = join(scratch, 'holdfast.yaml');
      const here = readFileSync(config, 'utf8')
        .replace('http://s3:7070', `http://127.0.0.1:${port}`)
        .replace('/backup', join(scratch, 'backup'));
      writeFileSync(file, here);
      const { command = [], environment: keys = {} } = service('s3');
      const own = Object.fromEntries(Object.entries(keys).map(([name, value]) => [name, byDefault(value)]));
      const server = spawn(
        versitygw,
        command.map((word) => (word === ':7070' ? `127.0.0.1:${port}` : word === '/data' ? data : word)),
        { env: { ...own, PATH: process.env['PATH'], HOME: scratch }, stdio: 'ignore' },
      );
      const ended = once(server, 'exit');
      try {
        const healthy = service('s3').healthcheck?.test.at(-1)?.replace('7070', port) ?? '';
        while (
          server.exitCode === null &&
          !(await fetch(healthy).then(
            ({ ok }) => ok,
            () => false,
          ))
        )
          await sleep(50);
        for (const name of ['repository-nas', 'repository-s3']) {
          expect(await holdfast(service(name).command ?? [], file)).toMatchObject({ code: 0 });
          expect(await holdfast(service(name).command ?? [], file)).toMatchObject({
            code: 0,
            said: expect.stringContaining('already'),
          });
        }
      } finally {
        server.kill('SIGTERM');
        await ended;
      }
    });
  });

  describe('with its sample', () => {
    let server: PostgresServer;
    beforeAll(async () => {
      server = await startPostgres({ major: availableMajors().includes(17) ? 17 : 15 });
    });
    afterAll(() => server.stop());

    test('holds three databases after its script has run', async () => {
      await server.psql('postgres', readFileSync(join(top, 'deploy/compose/sample.sql'), 'utf8'));
      expect(await server.psql('gatus', 'SELECT count(*) FROM results')).toBe('100000');
      expect(await server.psql('vaultwarden', 'SELECT count(*) FROM ciphers')).toBe('20000');
      expect(
        await server.psql('app', `SELECT count(*), has_table_privilege('readers', 'orders', 'SELECT') FROM orders`),
      ).toBe('50000|t');
    });
  });
});
