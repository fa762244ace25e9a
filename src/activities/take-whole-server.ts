import { writeClusterDump } from '../postgres/dump/write.ts';
import type { Order, Taking } from './taking.ts';
import type { Working } from './working.ts';

/** Method pg_dumpall: one file. */
export async function takeWholeServer(order: Order, { signal, report }: Working): Promise<Taking> {
  const { spec, repository, owner, compressor, expectedBytes } = order;
  const key = order.keyOf(spec.compression === 'gzip' ? 'sql.gz' : 'sql.zst');
  const writer = await repository.stage(key, owner, signal, { expectedBytes });
  try {
    const dump = await writeClusterDump({
      server: order.server,
      tools: order.tools,
      compressor,
      exclude: spec.exclude,
      lockTimeoutMs: spec.lockTimeoutMs,
      countRows: spec.countRows,
      sink: writer,
      signal,
      applicationName: order.applicationName,
      earlierNames: order.earlierNames,
      onProgress: ({ phase, database, databasesDone, databasesTotal }) => {
        report({
          doing: database === null ? phase : `${phase} of ${database}`,
          bytes: writer.offset,
          done: databasesDone,
          total: databasesTotal,
        });
      },
    });
    return {
      ...dump,
      objects: [await writer.finish()],
      parts: dump.parts.map((part) => ({ ...part, object: key, plain: null, encryption: null })),
    };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
