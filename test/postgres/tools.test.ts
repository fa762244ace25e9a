import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { makeScratch } from '../../parts/scratch.ts';
import { findTools, parseVersion } from '../../src/postgres/tools.ts';

let scratch: string;

beforeAll(async () => {
  scratch = await makeScratch('tools');
});

afterAll(() => rm(scratch, { recursive: true, force: true }));

/** Tools that know their version and nothing else. */
async function makeTools(name: string, version: string, missing?: string): Promise<string> {
  const directory = join(scratch, name);
  await mkdir(directory);
  for (const tool of ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql']) {
    if (tool === missing) continue;
    await writeFile(join(directory, tool), `#!/bin/sh\necho '${tool} (PostgreSQL) ${version} (Test)'\n`);
    await chmod(join(directory, tool), 0o755);
  }
  return directory;
}

// Majors that no machine has installed yet.
describe('the tools for a server', () => {
  it("are those of the server's own major version, before newer ones", async () => {
    const newer = await makeTools('61', '61.2');
    const own = await makeTools('60', '60.1');
    const tools = await findTools(600_003, { configured: {}, path: [newer, own].join(delimiter) });
    expect(tools).toEqual({
      major: 60,
      version: '60.1',
      pgDump: join(own, 'pg_dump'),
      pgDumpall: join(own, 'pg_dumpall'),
      pgRestore: join(own, 'pg_restore'),
      psql: join(own, 'psql'),
    });
  });

  it('are taken from where the configuration says', async () => {
    const path = await makeTools('on path', '62.1');
    const configured = await makeTools('configured', '62.0');
    const tools = await findTools(620_001, { configured: { '62': configured }, path });
    expect(tools.version).toBe('62.0');
  });

  it('are refused where the configuration names tools of another version, or none', async () => {
    const configured = await makeTools('wrong', '63.4');
    await expect(findTools(640_000, { configured: { '64': configured }, path: '' })).rejects.toMatchObject({
      type: 'ToolMissing',
      message: expect.stringContaining('are of PostgreSQL 63.4, not of 64'),
    });
    await expect(findTools(640_000, { configured: { '64': scratch }, path: '' })).rejects.toMatchObject({
      type: 'ToolMissing',
      hint: expect.stringContaining('tools.postgres."64"'),
    });
  });

  it('are newer ones where their own are missing', async () => {
    const path = await makeTools('newer', '66.0');
    expect((await findTools(650_000, { configured: {}, path })).major).toBe(66);
  });

  it('are never older ones', async () => {
    const path = await makeTools('older', '70.9');
    await expect(findTools(710_000, { configured: {}, path })).rejects.toMatchObject({
      type: 'ToolTooOld',
      message: expect.stringContaining('the server is PostgreSQL 71, and the newest client tools here are of 70'),
      hint: expect.stringContaining('postgresql-client-71'),
    });
  });

  it('are whole: a directory that lacks one of them has none', async () => {
    const path = await makeTools('half', '80.1', 'pg_restore');
    await expect(findTools(800_000, { configured: {}, path })).rejects.toMatchObject({
      type: expect.stringMatching(/^Tool(Missing|TooOld)$/),
    });
  });

  it("are not Debian's wrappers, which take the version of some local cluster", async () => {
    const path = join(scratch, 'wrapped');
    const wrapper = join(scratch, 'pg_wrapper');
    await mkdir(path);
    await writeFile(wrapper, "#!/bin/sh\necho 'pg_dump (PostgreSQL) 90.1'\n");
    await chmod(wrapper, 0o755);
    for (const tool of ['pg_dump', 'pg_dumpall', 'pg_restore', 'psql']) await symlink(wrapper, join(path, tool));
    await expect(findTools(900_000, { configured: {}, path })).rejects.toMatchObject({
      type: expect.stringMatching(/^Tool(Missing|TooOld)$/),
    });
  });
});

it('reads versions of releases, betas and packagers', () => {
  expect(parseVersion('pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n')).toBe('15.18');
  expect(parseVersion('pg_dump (PostgreSQL) 19beta1\n')).toBe('19beta1');
  expect(parseVersion('something else 1.2')).toBeUndefined();
});
