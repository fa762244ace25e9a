import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { readArchive } from '../../../src/postgres/archive/read.ts';
import { toolsOf } from '../dump/dumping.ts';
import { makeSample } from '../dump/sample.ts';
import { byHand, keep, type Kept } from './archiving.ts';

describe.each(availableMajors())('an archive that pg_dump %i made for somebody else', (major) => {
  let server: PostgresServer;
  let kept: Kept;
  const fileOf = (format: string) => join(kept.directory, format);

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
    kept = keep();
    for (const format of ['custom', 'tar', 'directory'])
      await byHand(server, 'pg_dump --format="$1" -f "$2" app', format, fileOf(format));
  });

  afterAll(async () => {
    await server.stop();
    kept.remove();
  });

  const survey = async (path: string, format: 'custom' | 'tar' | 'directory') =>
    readArchive({
      ...{ tools: await toolsOf(server), path, format, signal: new AbortController().signal },
      stored: { bytes: statSync(path).size, sha256: 'a'.repeat(64) },
    });

  it.each(['custom', 'tar', 'directory'] as const)('in format %s tells what it holds', async (format) => {
    const found = await survey(fileOf(format), format);
    expect(found).toMatchObject({
      ...{ format, of: 'database', incomplete: null, findings: [], findingCount: 0 },
      serverVersion: expect.stringMatching(new RegExp(`^${String(major)}`)),
      dumpVersion: expect.stringMatching(new RegExp(`^${String(major)}`)),
      parts: [{ name: 'content', database: 'app', offset: 0, sha256: 'a'.repeat(64) }],
    });
    const [app] = found.databases;
    expect(app).toMatchObject({ name: 'app', owner: 'owner_of_app', encoding: 'UTF8', connectionLimit: 7 });
    expect(app?.tables).toContainEqual(['public', 'big', 5000]);
    expect(app?.tables).toContainEqual([`odd "schema`, `odd 'table`, 9]);
    expect(app?.extensions.map(({ name }) => name)).toContain('pgcrypto');
    expect(app?.roles).toEqual(expect.arrayContaining(['owner_of_app', "Reader's"]));
  });

  it('says that it is cut off, or that it is none', async () => {
    const path = join(kept.directory, 'cut');
    const whole = readFileSync(fileOf('custom'));
    writeFileSync(path, whole);
    truncateSync(path, whole.length - 10_000);
    expect((await survey(path, 'custom')).incomplete).toMatch(/can't be read to its end/);
    truncateSync(path, 100);
    await expect(survey(path, 'custom')).rejects.toMatchObject({ type: 'ObjectDamaged' });
    writeFileSync(path, 'no archive at all'.repeat(1000));
    await expect(survey(path, 'custom')).rejects.toMatchObject({ type: 'ObjectDamaged' });
  });
});
