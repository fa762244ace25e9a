import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { KubernetesFront } from '../../../parts/kubernetes-front.ts';

/** Whatever asks the front for a Backup hears that it isn't over yet, however fast it is, until the front behaves. */
export function holdBackups(front: KubernetesFront): void {
  const edit = (object: unknown) =>
    // The API server may as well answer that there is none.
    (object as { readonly kind?: unknown }).kind === 'Backup'
      ? { ...(object as object), status: { phase: 'running' } }
      : object;
  front.misbehave({ method: 'GET', path: /\/backups\/[^/]+$/, does: { kind: 'edit', edit } });
}

/** Waits until the front has seen it. A run that ends before fails the wait with its own failure. */
export async function untilSeen(front: KubernetesFront, line: RegExp, run: WorkflowHandle): Promise<void> {
  while (!front.seen.some((one) => line.test(one))) {
    if ((await run.describe()).status.name !== 'RUNNING') {
      await run.result();
      throw new Error(`the run is over, and the front has not seen ${String(line)}:\n${front.seen.join('\n')}`);
    }
    await sleep(100);
  }
}
