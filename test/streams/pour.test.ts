import { createHash } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { startChain } from '../../src/process/chain.ts';
import { Meter, metered } from '../../src/streams/meter.ts';
import { pour, sinkOf } from '../../src/streams/pour.ts';

const never = new AbortController().signal;
const names = { from: 'pg_dump', to: '/backup' };
const bytes = (text: string) => new TextEncoder().encode(text);
const tick = () => new Promise((resolve) => setImmediate(resolve));

function sinkInto(chunks: string[]) {
  return {
    async write(chunk: Uint8Array) {
      await tick();
      chunks.push(new TextDecoder().decode(chunk));
    },
  };
}

async function* three() {
  yield bytes('one ');
  yield bytes('two ');
  await tick();
  yield bytes('three');
}

describe('a pour', () => {
  test('moves everything, measured, and reports how far it is', async () => {
    const chunks: string[] = [];
    const progress: number[] = [];
    const meter = new Meter();
    const moved = await pour(three(), sinkInto(chunks), {
      ...names,
      signal: never,
      meter,
      onProgress: (n) => progress.push(n),
      stallMs: 60_000,
    });
    expect([moved, chunks.join(''), progress]).toEqual([13, 'one two three', [4, 8, 13]]);
    expect([meter.bytes, meter.digest()]).toEqual([13, createHash('sha256').update('one two three').digest('hex')]);
  });

  test('never asks for a chunk before the last one is written', async () => {
    let writing = false;
    let overlaps = 0;
    async function* watched() {
      for (let i = 0; i < 20; i += 1) {
        if (writing) overlaps += 1;
        yield bytes('x');
        await tick();
      }
    }
    const sink = {
      async write() {
        writing = true;
        await tick();
        writing = false;
      },
    };
    await pour(watched(), sink, { ...names, signal: never });
    expect(overlaps).toBe(0);
  });

  test("rejects with the sink's own error, and destroys the source", async () => {
    const full = new Error('no space left');
    const source = Readable.from(three());
    await expect(pour(source, { write: () => Promise.reject(full) }, { ...names, signal: never })).rejects.toBe(full);
    expect(source.destroyed).toBe(true);
  });

  test("rejects with the source's own error", async () => {
    const lost = new Error('connection lost');
    async function* breaking() {
      yield bytes('one');
      await tick();
      throw lost;
    }
    await expect(pour(breaking(), sinkInto([]), { ...names, signal: never })).rejects.toBe(lost);
  });

  test("rejects with the signal's reason, also when neither side answers any more, and before it begins", async () => {
    const reason = new Error('cancelled');
    const controller = new AbortController();
    const source = new Readable({ read: () => undefined });
    const promise = pour(source, sinkInto([]), { ...names, signal: controller.signal });
    controller.abort(reason);
    await expect(promise).rejects.toBe(reason);
    expect(source.destroyed).toBe(true);
    const hanging = new AbortController();
    const stuck = pour(
      three(),
      { write: () => new Promise<void>(() => undefined) },
      { ...names, signal: hanging.signal },
    );
    hanging.abort(reason);
    await expect(stuck).rejects.toBe(reason);
    await expect(pour(three(), sinkInto([]), { ...names, signal: controller.signal })).rejects.toBe(reason);
  });

  test('writes nothing more after it was cancelled', async () => {
    const controller = new AbortController();
    const chunks: string[] = [];
    const sink = {
      async write(chunk: Uint8Array) {
        await tick();
        chunks.push(new TextDecoder().decode(chunk));
        controller.abort(new Error('cancelled'));
      },
    };
    await expect(pour(three(), sink, { ...names, signal: controller.signal })).rejects.toThrow('cancelled');
    await tick();
    await tick();
    expect(chunks).toEqual(['one ']);
  });

  test('that stalls says which side does', async () => {
    const silent = new Readable({ read: () => undefined });
    await expect(pour(silent, sinkInto([]), { ...names, signal: never, stallMs: 20 })).rejects.toMatchObject({
      type: 'ToolFailed',
      message: expect.stringContaining('pg_dump has sent nothing'),
    });
    const stuck = { write: () => new Promise<void>(() => undefined) };
    await expect(pour(three(), stuck, { ...names, signal: never, stallMs: 20 })).rejects.toMatchObject({
      type: 'StoreUnavailable',
      message: expect.stringContaining('/backup has taken nothing'),
    });
  });

  test('from a chain that fails at its end rejects with the failure of the tool', async () => {
    const chain = startChain([{ file: 'sh', args: ['-c', 'echo data; exit 1'], name: 'pg_dump' }], {
      stdin: 'ignore',
      stdout: 'pipe',
      signal: never,
    });
    await expect(pour(chain.stdout, sinkInto([]), { ...names, signal: never })).rejects.toMatchObject({
      message: 'pg_dump failed with exit code 1',
    });
  });

  test('into a chain that fails rejects with the failure of the tool, not with EPIPE', async () => {
    const chain = startChain([{ file: 'sh', args: ['-c', 'read line; echo "it broke" >&2; exit 3'], name: 'psql' }], {
      stdin: 'pipe',
      stdout: 'ignore',
      signal: never,
    });
    if (chain.stdin === undefined) throw new Error('no stdin');
    async function* endless() {
      for (;;) {
        yield Buffer.alloc(65_536, '\n');
        await tick();
      }
    }
    await expect(pour(endless(), sinkOf(chain.stdin), { ...names, signal: never })).rejects.toMatchObject({
      message: 'psql failed with exit code 3: it broke',
    });
  });

  test('into a chain arrives whole', async () => {
    const chain = startChain([{ file: 'sha256sum', args: [] }], { stdin: 'pipe', stdout: 'pipe', signal: never });
    if (chain.stdin === undefined) throw new Error('no stdin');
    const sink = sinkOf(chain.stdin);
    const block = Buffer.alloc(1_000_000, 'holdfast');
    await pour(Readable.from([block, block, block]), sink, { ...names, signal: never });
    await sink.end();
    const chunks: Buffer[] = [];
    for await (const chunk of chain.stdout as AsyncIterable<Buffer>) chunks.push(chunk);
    const expected = createHash('sha256')
      .update(Buffer.concat([block, block, block]))
      .digest('hex');
    expect(Buffer.concat(chunks).toString()).toBe(`${expected}  -\n`);
  });
});

test('the end of a stream as a sink waits until everything is taken', async () => {
  const taken: string[] = [];
  const slow = new Writable({
    write(chunk: Buffer, _encoding, done) {
      setImmediate(() => {
        taken.push(chunk.toString());
        done();
      });
    },
  });
  const sink = sinkOf(slow);
  await sink.write(bytes('a'));
  expect(taken).toEqual(['a']);
  slow.write('b');
  await sink.end();
  expect(taken).toEqual(['a', 'b']);
});

describe('a meter', () => {
  test('goes back to a saved state, more than once', () => {
    const meter = new Meter();
    meter.update(bytes('kept'));
    const state = meter.save();
    for (const failed of ['half a member', 'another half']) {
      meter.update(bytes(failed));
      meter.restore(state);
      expect([meter.bytes, meter.digest()]).toEqual([4, createHash('sha256').update('kept').digest('hex')]);
    }
    meter.update(bytes(' whole'));
    expect(meter.digest()).toBe(createHash('sha256').update('kept whole').digest('hex'));
  });

  test('measures a stream that passes', async () => {
    const meter = new Meter();
    let text = '';
    for await (const chunk of metered(three(), meter)) text += new TextDecoder().decode(chunk);
    expect([text, meter.bytes]).toEqual(['one two three', 13]);
  });
});
