import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { startTemporalServer, temporalCli, type TemporalServer } from '../../parts/temporal-server.ts';

let directory: string;
let server: TemporalServer;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'temporal-test-'));
  server = await startTemporalServer({
    ui: true,
    dbFile: join(directory, 'temporal.db'),
    searchAttributes: { HoldfastPolicy: 'Keyword' },
  });
});
afterAll(async () => {
  await server.stop();
  await rm(directory, { recursive: true });
});

it('a server that answers knows its search attributes and shows its UI', async () => {
  const { code, stdout } = await temporalCli(['operator', 'search-attribute', 'list', '-o', 'json'], server);
  expect(code).toBe(0);
  expect(stdout).toContain('HoldfastPolicy');
  expect((await fetch(server.uiUrl ?? '')).status).toBe(200);
});

it('what was started before a kill is there after the restart', async () => {
  const start = ['workflow', 'start', '--type', 'any', '--task-queue', 'any', '--workflow-id', 'survivor'];
  expect(await temporalCli(start, server)).toMatchObject({ code: 0 });
  await server.restart();
  expect(await temporalCli(['workflow', 'describe', '--workflow-id', 'survivor'], server)).toMatchObject({ code: 0 });
});

it('a command that fails answers with its exit code and its words', async () => {
  const { code, stderr } = await temporalCli(['workflow', 'describe', '--workflow-id', 'nobody'], server);
  expect(code).toBe(1);
  expect(stderr).toContain('not found');
});

it('a server in memory refuses a restart', async () => {
  const forgetful = await startTemporalServer();
  await expect(forgetful.restart()).rejects.toThrow('Start it with dbFile');
  await forgetful.stop();
});
