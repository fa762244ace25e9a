import { spawn } from 'node:child_process';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import { childEnvironment } from './environment.ts';

const saidAtMost = 2_000;

/**
 * Runs a command that starts or stops a service, and waits for the command, not for what it has started: that may keep
 * its outputs open for years. Fails with ToolMissing, or with ToolFailed and what it said last.
 * @param argv a program and its arguments; no shell reads them
 */
export async function runServiceCommand(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const [file = '', ...args] = argv;
  const directory = await mkdtemp(join(tmpdir(), 'holdfast-service-'));
  const output = join(directory, 'output');
  const handle = await open(output, 'wx', 0o600);
  try {
    const ended = await new Promise<{ code: number | null; signalName: NodeJS.Signals | null }>((resolve, reject) => {
      const child = spawn(file, args, {
        cwd: '/',
        env: childEnvironment({}),
        stdio: ['ignore', handle.fd, handle.fd],
        detached: true,
      });
      const stop = () => child.kill('SIGTERM');
      signal.addEventListener('abort', stop, { once: true });
      child.once('error', reject);
      child.once('exit', (code, signalName) => {
        signal.removeEventListener('abort', stop);
        resolve({ code, signalName });
      });
    }).catch((error: unknown) => {
      throw new HoldfastError('ToolMissing', `${file} can't be run on this worker`, 'correct the command', {
        cause: error,
      });
    });
    signal.throwIfAborted();
    if (ended.code === 0) return;
    const said = (await readFile(output, 'utf8')).trim().slice(-saidAtMost);
    throw new HoldfastError(
      'ToolFailed',
      `${argv.join(' ')} ended with ${ended.code === null ? (ended.signalName ?? 'a signal') : `exit code ${String(ended.code)}`}${said === '' ? '' : `: ${said}`}`,
      'run it by hand to see why, as the user that the worker runs as',
    );
  } finally {
    await handle.close();
    await rm(directory, { recursive: true, force: true });
  }
}
