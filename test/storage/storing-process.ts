/** Started by a test, under strace: puts objects into a directory, or reads one, and says in JSON how it went. */
import { createHash } from 'node:crypto';
import { openDirectory } from '../../src/storage/directory.ts';

export interface StoringOrder {
  readonly directory: string;
  /** Put one after the other, each with its own name repeated as content. */
  readonly put?: readonly { readonly key: string; readonly bytes: number }[];
  readonly read?: string;
}

export type StoringResult =
  { readonly sha256: string } | { readonly type: string; readonly message: string; readonly hint: string };

const { directory, put = [], read } = JSON.parse(process.env['STORING'] ?? '') as StoringOrder;
const repository = openDirectory({ directory });
const { signal } = new AbortController();
const digest = createHash('sha256');
try {
  for (const { key, bytes } of put) {
    const writer = await repository.stage(key, { run: 'aaaa1111', attempt: 1 }, signal);
    const block = Buffer.alloc(1_048_576, key);
    for (let left = bytes; left > 0; left -= block.length) await writer.write(block.subarray(0, left));
    await repository.publish(await writer.finish());
  }
  if (read !== undefined) for await (const chunk of repository.read(read, undefined, signal)) digest.update(chunk);
  process.stdout.write(JSON.stringify({ sha256: digest.digest('hex') }));
} catch (error) {
  const { name, message, hint } = error as { name: string; message: string; hint?: string };
  process.stdout.write(JSON.stringify({ type: name, message, hint }));
}
