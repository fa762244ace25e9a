import { writeDatabaseArchives } from '../postgres/archive/write.ts';
import type { Staged } from '../storage/repository.ts';
import type { Order, Taking } from './taking.ts';
import type { Working } from './working.ts';

/** Method pg_dump: an archive for each database, and the globals. */
export async function takeArchives(order: Order, { signal, report }: Working): Promise<Taking> {
  const { spec, repository, owner } = order;
  const dump = await writeDatabaseArchives<Staged>({
    server: order.server,
    tools: order.tools,
    compressor: order.compressor,
    compression: spec.compression,
    format: spec.format,
    jobs: spec.jobs,
    exclude: spec.exclude,
    lockTimeoutMs: spec.lockTimeoutMs,
    countRows: spec.countRows,
    open: (suffix, expectedBytes) => repository.stage(order.keyOf(suffix), owner, signal, { expectedBytes }),
    scratch: { root: order.scratch, owner },
    signal,
    applicationName: order.applicationName,
    earlierNames: order.earlierNames,
    onProgress: ({ phase, database, bytes, databasesDone, databasesTotal }) => {
      report({
        doing: database === null ? phase : `${phase} of ${database}`,
        bytes,
        done: databasesDone,
        total: databasesTotal,
      });
    },
  });
  return {
    ...dump,
    objects: dump.objects.map(({ stored }) => stored),
    parts: dump.parts.map((part) => ({ ...part, object: order.keyOf(part.object) })),
  };
}
