import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { config, packagesFor } from '../../deploy/image/contents.mjs';

const top = join(import.meta.dirname, '../..');
const read = (name: string) => readFileSync(join(top, name), 'utf8');
const dockerfile = read('Dockerfile');
const allowed = read('.dockerignore')
  .split('\n')
  .filter((line) => line.startsWith('!'))
  .map((line) => line.slice(1));

describe('the Dockerfile', () => {
  test('copies only what is there and what .dockerignore lets through', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    );
    expect(copied).toContain('package-lock.json');
    for (const name of copied) {
      expect([name, existsSync(join(top, name))]).toEqual([name, true]);
      expect(allowed.some((each) => name === each || name.startsWith(`${each}/`))).toBe(true);
    }
  });

  test('takes along everything that the build reads', () => {
    const build = read('scripts/build.mjs');
    const needed = [...build.matchAll(/path\('([a-z.-]+(?:\.json)?)'\)/g)].map(([, name = '']) => name);
    expect(needed).toContain('tsconfig.build.json');
    for (const name of needed.filter((each) => each !== 'dist')) expect(allowed).toContain(name);
  });

  test('runs as nobody in particular, and starts a worker', () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM'));
    expect(last).toMatch(/^USER 10001:10001$/m);
    expect(last).toMatch(/^ENTRYPOINT \["tini", "--", "holdfast"\]$/m);
    expect(last).toMatch(/^CMD \["worker"\]$/m);
  });

  test('is run as the image of the end-to-end tests is', () => {
    const { user, environment, workingDirectory, entrypoint, command } = config;
    const last = dockerfile.slice(dockerfile.lastIndexOf('FROM'));
    expect(last).toContain(`USER ${user}\n`);
    for (const [name, value] of Object.entries(environment)) expect(last).toContain(`ENV ${name}=${value}\n`);
    expect(/WORKDIR (\S+)\n(?![^]*WORKDIR)/.exec(last)?.[1]).toBe(workingDirectory);
    expect(last).toContain(`ENTRYPOINT [${entrypoint.map((word) => `"${word}"`).join(', ')}]\n`);
    expect(last).toContain(`CMD [${command.map((word) => `"${word}"`).join(', ')}]\n`);
  });

  test('reads the lists of packages as the script that goes without Docker does', () => {
    const [, loop = ''] = /\$\((lines packages [^]+?done)\);/.exec(dockerfile) ?? [];
    const [, lines = ''] = /^ {4}(lines\(\).+;) \\$/m.exec(dockerfile) ?? [];
    const script = `${lines}\n${loop}`
      .replaceAll('/usr/share/holdfast', join(top, 'deploy/image'))
      .replaceAll('\\\n', '');
    const words = execFileSync('sh', ['-euc', script], { encoding: 'utf8', env: { POSTGRES_MAJORS: '17 18' } });
    expect(words.trim().split(/\s+/)).toEqual(packagesFor([17, 18]));
  });

  test('takes the Node that package.json asks for, from an image without a registry’s name', () => {
    const [, image = ''] = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile) ?? [];
    expect(image).toMatch(/^node:20-/);
    expect((JSON.parse(read('package.json')) as { engines: { node: string } }).engines.node).toMatch(/^>=20\./);
  });
});
