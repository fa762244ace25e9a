import { mkdir, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { World } from '../parts/world.ts';

const into = fileURLToPath(new URL('../test/replay/histories/', import.meta.url));

/** Writes the history of a run into test/replay/histories, without anything that names this machine. */
export async function keepHistory(world: World, name: string, workflowId: string): Promise<void> {
  const history = await world.client.workflow.getHandle(workflowId).fetchHistory();
  const plain = (text: string) =>
    text
      .replaceAll(world.directory, '/mnt')
      .replaceAll(/(?:file:\/\/)?\/[^\s"'()]*?\/(dist|node_modules)(?:\.\d+)?\//g, '$1/')
      .replaceAll(hostname(), 'worker.example')
      .replaceAll('/dev/shm/', '/var/lib/')
      .replaceAll(/holdfast-[a-z0-9]+-[A-Za-z0-9]{6}/g, 'holdfast');
  const cleaned = JSON.parse(plain(historyToJSON(history)), (_, value: unknown) => {
    const data = (value as { data?: unknown } | null)?.data;
    if (typeof data !== 'string') return value;
    const text = Buffer.from(data, 'base64').toString('utf8');
    return { ...(value as object), data: Buffer.from(plain(text)).toString('base64') };
  }) as object;
  await mkdir(into, { recursive: true });
  await writeFile(join(into, `${name}.json`), `${JSON.stringify(cleaned, null, 1)}\n`);
  console.log(`${name}: ${String(history.events?.length ?? 0)} events`);
}
