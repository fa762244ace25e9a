import { readdirSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { bringUp } from '../bed/bed.mjs';
import { places } from '../bed/places.mjs';

/** Ends the API server of the cluster that `npm run e2e` has made, as a crash would. It is away until `repair`. */
export function killApiServer(): void {
  const program = join(places.bin, 'kube-apiserver');
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && programOf(name) === program);
  if (pid === undefined) throw new Error(`no process runs ${program}`);
  process.kill(Number(pid), 'SIGKILL');
}

/** Starts what of the cluster doesn't run, as `npm run e2e` does. */
export async function repair(): Promise<void> {
  const { letGo } = await bringUp();
  await letGo();
}

function programOf(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/exe`);
  } catch {
    return undefined;
  }
}
