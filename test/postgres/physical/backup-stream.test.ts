import { afterAll, describe, expect, it } from '@jest/globals';
import { BackupStream } from '../../../src/postgres/physical/backup-stream.ts';
import { StallWatch } from '../../../src/postgres/physical/stall.ts';

const watch = new StallWatch(600_000, () => undefined);
afterAll(() => {
  watch.stop();
});

/** What a server may send, good or bad, without a server. */
function streaming() {
  const opened: string[] = [];
  const aborted: string[] = [];
  const stream = new BackupStream<{ bytes: number; sha256: string; text: string }>({
    packing: { by: 'server', compression: 'zstd' },
    watch,
    signal: new AbortController().signal,
    open: (name) => {
      opened.push(name);
      let text = '';
      return Promise.resolve({
        write: (chunk) => {
          text += Buffer.from(chunk).toString();
          return Promise.resolve();
        },
        finish: () => Promise.resolve({ bytes: text.length, sha256: '', text }),
        abort: () => {
          aborted.push(name);
          return Promise.resolve();
        },
      });
    },
    onBegun: () => undefined,
    onProgress: () => undefined,
  });
  const send = async (...messages: (string | Buffer)[]) => {
    for (const message of messages) await stream.onData(Buffer.from(message));
  };
  const begin = () => {
    stream.onRows([{ recptr: '0/2000028', tli: '1' }]);
    stream.onRows([
      { spcoid: '16399', spclocation: '/a', size: '7' },
      { spcoid: null, spclocation: null, size: '20' },
    ]);
  };
  const done = (bytes: number) => {
    const message = Buffer.alloc(9);
    message.write('p');
    message.writeBigInt64BE(BigInt(bytes), 1);
    return message;
  };
  return { stream, opened, aborted, send, begin, done };
}

describe('what BASE_BACKUP sends', () => {
  it('is written into one object for each archive, and one for the manifest', async () => {
    const { stream, opened, send, begin, done } = streaming();
    begin();
    await send('n16399.tar.zst\0/a\0', 'dab', 'dc', done(700), 'nbase.tar.zst\0\0', 'dxyz', done(1500), 'm', 'd{}');
    stream.onRows([{ recptr: '0/2000100', tli: '1' }]);
    const received = await stream.end();
    expect(opened).toEqual(['16399.tar.zst', 'base.tar.zst', 'backup_manifest']);
    expect(received).toMatchObject({
      start: { lsn: '0/2000028', timeline: 1 },
      stop: { lsn: '0/2000100', timeline: 1 },
      archives: [
        { name: '16399.tar.zst', tablespace: 16399, plainBytes: 700, stored: { text: 'abc' } },
        { name: 'base.tar.zst', tablespace: null, plainBytes: 800, stored: { text: 'xyz' } },
      ],
      manifest: { text: '{}' },
    });
  });

  it.each([
    ['an archive that was not announced', ['n99.tar.zst\0\0']],
    ['a name that leads elsewhere', ['n../../etc/passwd\0\0']],
    ['an archive without the compression that was asked for', ['nbase.tar\0\0']],
    ['an archive twice', ['nbase.tar.zst\0\0', 'dx', 'nbase.tar.zst\0\0']],
    ['bytes before any archive', ['dx']],
    ['a second manifest', ['m', 'd{}', 'm']],
    ['a name without an end', ['nbase.tar.zst']],
    ['a progress of three bytes', ['pabc']],
    ['a kind that nobody knows', ['zx']],
    ['an empty message', ['']],
  ])('%s is refused, and nothing stays open', async (_, messages) => {
    const { stream, opened, aborted, send, begin } = streaming();
    begin();
    await expect(send(...messages)).rejects.toMatchObject({ type: 'DumpFailed' });
    await stream.abort();
    expect(aborted).toEqual(opened.slice(-1));
  });

  it('is no backup without its manifest, or without one of its archives, or without its end', async () => {
    const noManifest = streaming();
    noManifest.begin();
    await noManifest.send('n16399.tar.zst\0/a\0', 'nbase.tar.zst\0\0');
    noManifest.stream.onRows([{ recptr: '0/2000100', tli: '1' }]);
    await expect(noManifest.stream.end()).rejects.toMatchObject({
      message: expect.stringContaining('no backup manifest'),
    });
    const noArchive = streaming();
    noArchive.begin();
    await noArchive.send('nbase.tar.zst\0\0', 'm', 'd{}');
    noArchive.stream.onRows([{ recptr: '0/2000100', tli: '1' }]);
    await expect(noArchive.stream.end()).rejects.toMatchObject({ message: expect.stringContaining('1 of 2 archives') });
    const noEnd = streaming();
    noEnd.begin();
    await expect(noEnd.stream.end()).rejects.toMatchObject({ message: expect.stringContaining('no end') });
  });
});
