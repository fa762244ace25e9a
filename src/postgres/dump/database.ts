import { startChain } from '../../process/chain.ts';
import type { Compressor } from '../../streams/compress.ts';
import type { DatabaseEntry } from '../inspect.ts';
import { dumpInSnapshot, type DumpedDatabase, type SnapshotDumpOptions } from './in-snapshot.ts';
import type { Members } from './members.ts';
import { notUtf8, renderProperties } from './properties.ts';

export interface DatabaseDumpOptions extends SnapshotDumpOptions {
  readonly compressor: Compressor;
  readonly members: Members;
  /** Called when the contents begin, and after every chunk of them. */
  readonly onContent: () => void;
}

/**
 * Writes a database's two members: its properties, and its contents as SQL. When this rejects, no process of it is
 * left; the members that it wrote are the caller's to take back.
 */
export function dumpDatabase(
  database: DatabaseEntry,
  afterForeignEncoding: boolean,
  options: DatabaseDumpOptions,
): Promise<DumpedDatabase> {
  const { members, compressor, signal, onContent } = options;
  return dumpInSnapshot(database, options, (dump) => {
    // Nothing takes its output before the properties are written.
    const chain = startChain([dump, compressor.compress], { stdin: 'ignore', stdout: 'pipe', signal });
    return {
      async move({ properties, versionNum, warn, locked }) {
        const text = renderProperties(database, properties, { versionNum, afterForeignEncoding });
        if (text.includes('\ufffd')) warn(notUtf8);
        await members.write('properties', database.name, text);
        onContent();
        await members.pour('content', database.name, chain.stdout, 'pg_dump', () => {
          // The first bytes: pg_dump has all its locks now.
          locked();
          onContent();
        });
        await chain.finished;
      },
      kill: () => chain.kill(),
    };
  });
}
