import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { capture, type ChainOptions, type Command, startChain, ToolFailure } from '../../src/process/chain.ts';
import { deathSignalLauncher } from '../../src/process/death-signal.ts';
import { processesWith, until } from './processes.ts';

const never = new AbortController().signal;
const sh = (script: string, more: Partial<Command> = {}): Command => ({ file: 'sh', args: ['-c', script], ...more });
const run = (commands: readonly Command[], more: Partial<ChainOptions> = {}) =>
  startChain(commands, { stdin: 'ignore', stdout: 'pipe', signal: never, ...more });

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

const thrownBy = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing',
    (error: unknown) => error,
  );

let canary: string;
const unhandled = jest.fn();

beforeEach(() => {
  canary = `canary-${randomUUID()}`;
  unhandled.mockClear();
  process.on('unhandledRejection', unhandled);
  process.on('uncaughtException', unhandled);
});

afterEach(async () => {
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unhandled);
  process.off('uncaughtException', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
  expect(processesWith(canary)).toEqual([]);
});

describe('a chain of commands', () => {
  test('hands the bytes of each on to the next and gives out what the last one writes', async () => {
    const chain = run([sh('printf "b\\na\\n"'), { file: 'sort', args: [] }, { file: 'tr', args: ['ab', 'AB'] }]);
    expect(await textOf(chain.stdout)).toBe('A\nB\n');
    expect(await chain.finished).toMatchObject([
      { file: 'sh', code: 0, signal: null, stderr: '' },
      { file: 'sort', code: 0 },
      { file: 'tr', code: 0 },
    ]);
  });

  test('carries many megabytes unchanged from stdin to stdout', async () => {
    const chain = run(
      [
        { file: 'gzip', args: ['-1'] },
        { file: 'gzip', args: ['-d'] },
        { file: 'sha256sum', args: [] },
      ],
      { stdin: 'pipe' },
    );
    const block = Buffer.alloc(1_000_003, 'holdfast ');
    const { createHash } = await import('node:crypto');
    const hash = createHash('sha256');
    for (let i = 0; i < 32; i += 1) {
      hash.update(block);
      await new Promise((resolve) => chain.stdin?.write(block, resolve));
    }
    chain.stdin?.end();
    expect(await textOf(chain.stdout)).toBe(`${hash.digest('hex')}  -\n`);
  });

  test('reports exits also to a caller who reads no output', async () => {
    const chain = run([sh('echo unread'), sh('cat > /dev/null')], { stdout: 'ignore' });
    expect((await chain.finished).map((exit) => exit.code)).toEqual([0, 0]);
    expect(await textOf(chain.stdout)).toBe('');
  });

  test('accepts the exit codes that a command declares to be good', async () => {
    const chain = run([{ file: 'diff', args: ['-q', '/dev/null', '/etc/hostname'], okExitCodes: [0, 1] }], {
      stdout: 'ignore',
    });
    expect((await chain.finished)[0]?.code).toBe(1);
  });
});

describe('a failure in a chain', () => {
  test('of the first one is an error at the end of the output, although the last one ends well', async () => {
    const chain = run([sh('echo half a dump; echo "connection lost" >&2; exit 1', { name: 'pg_dump' }), sh('cat')]);
    const chunks: string[] = [];
    const error = await thrownBy(
      (async () => {
        for await (const chunk of chain.stdout as AsyncIterable<Buffer>) chunks.push(chunk.toString());
      })(),
    );
    expect(error).toBeInstanceOf(ToolFailure);
    expect(error).toMatchObject({ type: 'ToolFailed', message: 'pg_dump failed with exit code 1: connection lost' });
    expect(await thrownBy(chain.finished)).toBe(error);
  });

  test('by SIGKILL is never taken for the end of the data', async () => {
    const chain = run([sh('echo half; kill -9 $$', { name: 'pg_dump' }), sh('cat')]);
    expect(await thrownBy(textOf(chain.stdout))).toMatchObject({
      type: 'ToolFailed',
      message: 'pg_dump was ended by SIGKILL',
      hint: expect.stringContaining('out of memory'),
    });
  });

  test('of the last one is the cause, not the SIGPIPE of those before it', async () => {
    const chain = run([
      { file: 'yes', args: [], name: 'igzip' },
      { file: 'cat', args: [], name: 'relay' },
      sh('head -c 100000 > /dev/null; echo "relation exists" >&2; exit 3', { name: 'psql' }),
    ]);
    const error = await thrownBy(chain.finished);
    expect(error).toMatchObject({ message: 'psql failed with exit code 3: relation exists', exit: { code: 3 } });
    expect((error as ToolFailure).exits.map((exit) => exit.code)).toEqual([null, null, 3]);
  });

  test('of the last one is the cause also when one before it turns SIGPIPE into an exit code', async () => {
    const chain = run([
      sh('trap "" PIPE; yes 2>/dev/null; echo "write error: Broken pipe" >&2; exit 70', { name: 'zstd' }),
      sh('head -c 1000 > /dev/null; exit 2', { name: 'psql' }),
    ]);
    expect(await thrownBy(chain.finished)).toMatchObject({ message: 'psql failed with exit code 2' });
  });

  test('is reported where a reader ends well before its input does', async () => {
    const chain = run([{ file: 'yes', args: [], name: 'pg_dump' }, sh('head -c 10', { name: 'reader' })]);
    expect(await thrownBy(chain.finished)).toMatchObject({
      message: 'pg_dump was ended by SIGPIPE (reader stopped reading before the end)',
    });
  });

  test('ends the others, one that does not listen to SIGTERM too', async () => {
    let chainReady: () => void = () => undefined;
    const deaf = sh(`trap "" TERM; echo ready >&2; while :; do sleep 1; done; : ${canary}`, {
      onStderrLine: () => {
        chainReady();
      },
    });
    const ready = new Promise<void>((resolve) => (chainReady = resolve));
    const failing = sh('read line; exit 4', { name: 'failing' });
    const chain = run([failing, deaf], { stdin: 'pipe', graceMs: 50 });
    await ready;
    chain.stdin?.write('go\n');
    expect(await thrownBy(chain.finished)).toMatchObject({ message: 'failing failed with exit code 4' });
    expect(processesWith(canary)).toEqual([]);
  });

  test('ends the grandchildren', async () => {
    const chain = run([sh(`sh -c "sleep 3600; : ${canary}" & echo ready; wait`)]);
    await new Promise((resolve) => chain.stdout.once('data', resolve));
    expect(processesWith(canary).length).toBeGreaterThan(0);
    await chain.kill();
    await until('nobody is left', () => processesWith(canary).length === 0);
  });

  test('leaves nobody behind of a parent that alone was killed', async () => {
    const chain = run([sh(`sh -c "sleep 3600; : ${canary}" & echo $$; wait`)]);
    chain.stdout.once('data', (pid: Buffer) => process.kill(Number(pid.toString()), 'SIGKILL'));
    expect(await thrownBy(chain.finished)).toMatchObject({ message: 'sh was ended by SIGKILL' });
    await until('nobody is left', () => processesWith(canary).length === 0);
  });
});

describe('a tool that is not there', () => {
  test('is ToolMissing, and none of the others is started', async () => {
    const chain = run([sh(`sleep 3600; : ${canary}`), { file: 'pg_dump_of_another_world', args: [] }]);
    expect(processesWith(canary)).toEqual([]);
    const error = await thrownBy(chain.finished);
    expect(error).toMatchObject({
      type: 'ToolMissing',
      message: "pg_dump_of_another_world was not found on the worker's PATH",
      hint: 'install pg_dump_of_another_world on the worker',
    });
    expect(await thrownBy(textOf(chain.stdout))).toBe(error);
  });

  test('is ToolMissing also when it lies there and the kernel refuses to run it', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-chain-'));
    try {
      const file = join(directory, 'broken');
      await writeFile(file, '#!/no/such/interpreter\n', { mode: 0o755 });
      expect(await thrownBy(run([{ file, args: [] }]).finished)).toMatchObject({ type: 'ToolMissing' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('fails the writer to it with the same error', async () => {
    const chain = run([{ file: '/no/such/psql', args: [] }], { stdin: 'pipe' });
    const error = await new Promise((resolve) => chain.stdin?.write('select 1', resolve));
    expect(error).toMatchObject({ type: 'ToolMissing', message: '/no/such/psql is not an executable file' });
  });
});

describe('an abort', () => {
  test('ends every process, and its reason is what finished and stdout reject with', async () => {
    const controller = new AbortController();
    const chain = run([sh(`echo on; sleep 3600; : ${canary}`), sh(`cat; : ${canary}`)], { signal: controller.signal });
    await new Promise((resolve) => chain.stdout.once('data', resolve));
    const reason = new Error('the activity was cancelled');
    controller.abort(reason);
    expect(await thrownBy(chain.finished)).toBe(reason);
    expect(await thrownBy(textOf(chain.stdout))).toBe(reason);
    expect(processesWith(canary)).toEqual([]);
  });

  test('before the start starts nothing', async () => {
    const reason = new Error('too late');
    const chain = run([sh(`sleep 3600; : ${canary}`)], { signal: AbortSignal.abort(reason), stdin: 'pipe' });
    expect(processesWith(canary)).toEqual([]);
    expect(await thrownBy(chain.finished)).toBe(reason);
    expect(await thrownBy(textOf(chain.stdout))).toBe(reason);
  });

  test('ends one that was stopped by SIGSTOP', async () => {
    const controller = new AbortController();
    const chain = run([sh(`echo $$; sleep 3600; : ${canary}`)], { signal: controller.signal });
    const pid = await new Promise<number>((resolve) =>
      chain.stdout.once('data', (text: Buffer) => {
        resolve(Number(text.toString()));
      }),
    );
    process.kill(-pid, 'SIGSTOP');
    controller.abort(new Error('stop'));
    expect(await thrownBy(chain.finished)).toMatchObject({ message: 'stop' });
  });

  test('leaves no listener on the signal after a chain has ended', async () => {
    const controller = new AbortController();
    const remove = jest.spyOn(controller.signal, 'removeEventListener');
    await run([sh('true')], { signal: controller.signal, stdout: 'ignore' }).finished;
    expect(remove).toHaveBeenCalled();
  });
});

describe('who walks away', () => {
  test('from the output ends the chain', async () => {
    const chain = run([sh(`yes; : ${canary}`)]);
    for await (const chunk of chain.stdout) {
      expect(chunk).toBeDefined();
      break;
    }
    expect(await thrownBy(chain.finished)).toMatchObject({ message: 'the output of sh was not read to its end' });
  });

  test('from the input ends the chain instead of feeding it half an input', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'holdfast-chain-'));
    try {
      const chain = run([sh(`cat > ${directory}/got; echo whole > ${directory}/verdict`)], { stdin: 'pipe' });
      await new Promise((resolve) => chain.stdin?.write('half', resolve));
      const reason = new Error('the object is damaged');
      chain.stdin?.destroy(reason);
      expect(await thrownBy(chain.finished)).toBe(reason);
      const { existsSync } = await import('node:fs');
      expect(existsSync(`${directory}/verdict`)).toBe(false);
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('by kill() hears of it once nobody is left, and a second time at once', async () => {
    const chain = run([sh(`sleep 3600; : ${canary}`)]);
    await chain.kill();
    expect(processesWith(canary)).toEqual([]);
    await chain.kill();
    expect(await thrownBy(chain.finished)).toMatchObject({ type: 'ToolFailed', message: 'sh was stopped' });
  });
});

describe('writing to a chain', () => {
  test('that fails reports why it failed, not EPIPE', async () => {
    const chain = run([sh('read line; echo "syntax error" >&2; exit 3', { name: 'psql' })], { stdin: 'pipe' });
    let error: unknown;
    const block = Buffer.alloc(65_536, '\n');
    while (!(error instanceof Error)) error = await new Promise((resolve) => chain.stdin?.write(block, resolve));
    expect(error).toMatchObject({ type: 'ToolFailed', message: 'psql failed with exit code 3: syntax error' });
  });

  test('that ends well but too early is an error for the writer', async () => {
    const chain = run([sh('read line; exit 0', { name: 'psql' })], { stdin: 'pipe' });
    let error: unknown;
    const block = Buffer.alloc(65_536, '\n');
    while (!(error instanceof Error)) error = await new Promise((resolve) => chain.stdin?.write(block, resolve));
    expect(error).toMatchObject({ type: 'ToolFailed', message: 'psql ended before reading its whole input' });
  });
});

describe('stderr', () => {
  test('is handed on line by line, before the exit, without secrets', async () => {
    const lines: string[] = [];
    const secrets = ['s3cr3t/x', ''];
    const chain = run([
      sh('echo one >&2; echo "password s3cr3t/x or s3cr3t%2Fx" >&2; printf last >&2; exit 1', {
        secrets,
        onStderrLine: (line) => lines.push(line),
      }),
    ]);
    const error = await thrownBy(chain.finished);
    expect(lines).toEqual(['one', 'password *** or ***', 'last']);
    expect(error).toMatchObject({
      message: 'sh failed with exit code 1: last',
      exit: { stderr: 'one\npassword *** or ***\nlast' },
    });
  });

  test('of hundreds of megabytes, without one line feed or with a hundred million, is drained and only its ends are kept', async () => {
    const before = process.memoryUsage().rss;
    const chain = run([
      sh('head -c 100000000 /dev/zero | tr "\\0" x >&2; yes | head -c 200000000 >&2; echo end >&2; exit 9'),
    ]);
    const error = (await thrownBy(chain.finished)) as ToolFailure;
    expect(error.message).toBe('sh failed with exit code 9: end');
    expect(error.exit.stderr.length).toBeLessThan(10_000);
    expect(error.exit.stderr).toMatch(/^x{100}[^]*left out[^]*y\ny\nend$/);
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
  });

  test('that a daemon holds open does not keep the chain from ending', async () => {
    const pidFile = join(tmpdir(), canary);
    try {
      await run(
        [sh(`setsid sh -c 'echo $$ > ${pidFile}; sleep 3600' & while ! [ -s ${pidFile} ]; do sleep 0.01; done`)],
        { stdout: 'ignore' },
      ).finished;
    } finally {
      const { readFileSync } = await import('node:fs');
      process.kill(-Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
      await rm(pidFile);
    }
    await until('the daemon has gone', () => processesWith(canary).length === 0);
  });

  test('handling that throws fails the chain with what was thrown', async () => {
    const bug = new Error('cannot classify this');
    const command = sh(`echo line >&2; sleep 3600; : ${canary}`, {
      onStderrLine() {
        throw bug;
      },
    });
    expect(await thrownBy(run([command]).finished)).toBe(bug);
  });
});

describe('the environment of a child', () => {
  test('holds nothing of the worker but PATH, TMPDIR and TZ', async () => {
    process.env['PGPASSWORD'] = 'worker-secret';
    process.env['AWS_SECRET_ACCESS_KEY'] = 'worker-secret';
    try {
      const { stdout } = await capture({ file: 'env', args: [], env: { PGDATABASE: 'gatus' } }, { signal: never });
      const names = stdout
        .trim()
        .split('\n')
        .map((line) => line.split('=')[0] ?? '');
      expect(names.filter((name) => !['PATH', 'TMPDIR', 'TZ'].includes(name)).sort()).toEqual(['LC_ALL', 'PGDATABASE']);
    } finally {
      delete process.env['PGPASSWORD'];
      delete process.env['AWS_SECRET_ACCESS_KEY'];
    }
  });
});

describe('capture', () => {
  test('gives input and takes output', async () => {
    expect(await capture(sh('echo note >&2; cat'), { signal: never, input: 'grüße' })).toEqual({
      stdout: 'grüße',
      stderr: 'note',
    });
  });

  test('does not mind a command that leaves its input unread', async () => {
    expect(await capture(sh('echo done'), { signal: never, input: Buffer.alloc(5_000_000) })).toEqual({
      stdout: 'done\n',
      stderr: '',
    });
  });

  test('refuses more output than was asked for', async () => {
    const promise = capture(sh(`yes; : ${canary}`, { name: 'psql' }), { signal: never, maxBytes: 1_000 });
    expect(await thrownBy(promise)).toMatchObject({ type: 'ToolFailed', message: 'psql wrote more than 1000 bytes' });
  });

  test('passes no argument through a shell', async () => {
    const { stdout } = await capture({ file: 'printf', args: ['%s', '$(id); `id` && id'] }, { signal: never });
    expect(stdout).toBe('$(id); `id` && id');
  });
});

describe('a worker that is killed', () => {
  test('takes its tools with it', async () => {
    expect(deathSignalLauncher()).not.toEqual([]);
    const worker = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'doomed-worker.ts'), canary], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await new Promise((resolve) => worker.stdout.once('data', resolve));
    expect(processesWith(canary).length).toBeGreaterThanOrEqual(3);
    worker.kill('SIGKILL');
    await until('the tools have gone', () => processesWith(canary).length === 0);
  });
});
