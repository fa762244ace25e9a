import { open, statfs } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Free bytes on the file system of a data directory, for a worker on the server's own machine; null everywhere else:
 * SQL doesn't tell. That a directory of that name is really the server's is proved by the system identifier, the first
 * eight bytes of its control file (in the order of this machine's, as PostgreSQL writes them).
 */
export async function freeBytesOf(dataDirectory: string, systemIdentifier: string): Promise<number | null> {
  try {
    const file = await open(join(dataDirectory, 'global', 'pg_control'), 'r');
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0).finally(() => file.close());
    const found = [buffer.readBigUInt64LE().toString(), buffer.readBigUInt64BE().toString()];
    if (!found.includes(systemIdentifier)) return null;
    const { bavail, bsize } = await statfs(dataDirectory);
    return bavail * bsize;
  } catch {
    return null;
  }
}
