/**
 * A worker that is killed at work: argv[2] says at what, argv[3] is a file with the input as JSON. It reads the backup
 * or the archive slowly, and says so on standard output when it is in the middle.
 */
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { findTool } from '../../../src/process/environment.ts';
import { fetchBase, type FetchInput } from '../../../src/postgres/recovery/fetch.ts';
import { beginRecovery, type RecoveryInput } from '../../../src/postgres/recovery/recover.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import { findCompressors } from '../../../src/streams/compress.ts';
import { walIn } from './source.ts';

const [, , work, file = ''] = process.argv;
const { signal } = new AbortController();

interface Doomed {
  readonly repository: string;
  readonly archive: string;
  readonly fetch: FetchInput;
  readonly recovery: Omit<RecoveryInput, 'last'> & { readonly last: { timeline: number; number: string } };
}
const doomed = JSON.parse(readFileSync(file, 'utf8')) as Doomed;

async function* slowly(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of body)
    for (let at = 0; at < chunk.length; at += 65_536) {
      yield chunk.subarray(at, at + 65_536);
      bytes += 65_536;
      if (bytes > 1_000_000) process.stdout.write('middle\n');
      await sleep(20);
    }
}

if (work === 'fetch') {
  const repository = openDirectory({ directory: doomed.repository });
  await fetchBase({
    ...doomed.fetch,
    source: { read: (key, range, reading) => slowly(repository.read(key, range, reading)) },
    compressors: await findCompressors(findTool, signal),
    signal,
  });
} else {
  const archive = walIn(doomed.archive);
  let served = 0;
  await beginRecovery({
    ...doomed.recovery,
    last: { timeline: doomed.recovery.last.timeline, number: BigInt(doomed.recovery.last.number) },
    wal: {
      ...archive,
      segment: async (name, serving) => {
        served += 1;
        if (served > 3) {
          process.stdout.write('middle\n');
          await sleep(600_000, undefined, { signal: serving });
        }
        return archive.segment(name, serving);
      },
    },
    signal,
  });
}
