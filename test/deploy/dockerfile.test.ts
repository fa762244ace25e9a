import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

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
      expect(allowed).toContain(name);
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
    expect(last).toMatch(/^USER holdfast$/m);
    expect(last).toMatch(/^ENTRYPOINT \["holdfast"\]$/m);
    expect(last).toMatch(/^CMD \["worker"\]$/m);
  });

  test('takes the Node that package.json asks for, from an image without a registry’s name', () => {
    const [, image = ''] = /^ARG NODE_IMAGE=(\S+)$/m.exec(dockerfile) ?? [];
    expect(image).toMatch(/^node:20-/);
    expect((JSON.parse(read('package.json')) as { engines: { node: string } }).engines.node).toMatch(/^>=20\./);
  });
});
