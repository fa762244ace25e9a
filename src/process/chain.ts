import { Readable, type Writable } from 'node:stream';
import { HoldfastError } from '../domain/errors.ts';
import { culpritOf, exitOnly, failureOf, lostItsReader } from './blame.ts';
import { Child, type Command, type Ending, type Exit, resolveTool, toolName } from './child.ts';
import { entrance, gate } from './ends.ts';
import { closePipe, openPipe, type OsPipe } from './os-pipe.ts';

export { ToolFailure } from './blame.ts';
export type { Command, Exit } from './child.ts';

export interface ChainOptions {
  readonly stdin: 'pipe' | 'ignore';
  readonly stdout: 'pipe' | 'ignore';
  /** Aborting ends every member; its reason is what `finished` and the streams fail with. */
  readonly signal: AbortSignal;
  /** Between SIGTERM and SIGKILL; default 5 s. */
  readonly graceMs?: number;
}

export interface Chain {
  /**
   * What the last command writes. Ends cleanly only after every exit code is known and good; otherwise errors with
   * what `finished` rejects with, once no process is left. With stdout 'ignore' it holds nothing and ends or errors
   * likewise. Destroying it early ends the chain.
   */
  readonly stdout: Readable;
  /**
   * What the first command reads; undefined with stdin 'ignore'. A write that fails because the chain failed reports
   * the chain's error, not EPIPE. Destroying it before end() ends the chain: nobody takes half an input for the whole.
   */
  readonly stdin: Writable | undefined;
  /**
   * Every exit, in the chain's order, after every process is gone. Rejects with a HoldfastError about the tool that
   * failed first in cause: a SIGPIPE is not the cause, the reader that went away is. ToolMissing before anything is
   * started; ToolFailed as a ToolFailure that carries the exits; plain ToolFailed after kill().
   *
   * A member that fails leaves the next one an end of file, as every pipe does: what the last one did with a cut-off
   * input (psql may have committed it) has to be undone.
   */
  readonly finished: Promise<readonly Exit[]>;
  /** Ends every member; resolves when none is left. Never rejects. After the end it does nothing. */
  kill(): Promise<void>;
}

const defaultGraceMs = 5_000;

/**
 * Starts the commands, each one's stdout being the next one's stdin, handed over by the kernel: what flows between
 * them never enters JavaScript. Never throws; nothing needs to be listened to for an error not to be unhandled.
 */
export function startChain(commands: readonly Command[], options: ChainOptions): Chain {
  const { signal, graceMs = defaultGraceMs } = options;
  const children: Child[] = [];
  let settled = false;
  /** Why it was ended from outside; comes before whatever the tools then say. */
  let stopReason: { readonly error: unknown } | undefined;

  const terminateAll = () => {
    // The last first: none of them shall take the death of the one before it for the end of its input.
    for (const child of children.toReversed()) child.terminate(graceMs);
  };
  const stop = (error: unknown) => {
    if (settled) return;
    stopReason ??= { error };
    terminateAll();
  };
  const onAbort = () => {
    stop(signal.reason);
  };
  let readerTimer: NodeJS.Timeout | undefined;
  const onEnded = (ending: Ending) => {
    if (ending.ok || settled) return;
    // The others go too. A reader that went away may still be about to say why: it gets the grace to do so.
    if (lostItsReader(ending)) readerTimer ??= setTimeout(terminateAll, graceMs);
    else setImmediate(terminateAll);
  };

  let ends: Ends = { stdin: null, stdout: null };
  try {
    signal.throwIfAborted();
    ends = startAll(commands, options, children);
    signal.addEventListener('abort', onAbort, { once: true });
  } catch (error) {
    stop(error);
  }

  const finished = (async () => {
    const endings = await Promise.all(
      children.map(async (child) => {
        const ending = await child.ended;
        onEnded(ending);
        return ending;
      }),
    );
    settled = true;
    clearTimeout(readerTimer);
    signal.removeEventListener('abort', onAbort);
    if (stopReason !== undefined) throw stopReason.error;
    const culprit = culpritOf(endings);
    if (culprit !== undefined) throw failureOf(culprit, endings);
    return endings.map(exitOnly);
  })();
  finished.catch(() => undefined);

  const names = commands.map(toolName);
  const stdout = gate(options.stdout === 'pipe' ? ends.stdout : null, finished, () => {
    stop(abandoned(`the output of ${names.at(-1) ?? 'nothing'} was not read to its end`));
  });
  const stdin =
    options.stdin === 'pipe'
      ? entrance(ends.stdin, names[0] ?? 'nothing', finished, (error) => {
          stop(error ?? abandoned(`the input of ${names[0] ?? 'nothing'} was not written to its end`));
        })
      : undefined;

  return {
    stdout,
    stdin,
    finished,
    async kill() {
      stop(abandoned(`${names.join(' | ')} was stopped`));
      await finished.catch(() => undefined);
    },
  };
}

interface Ends {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
}

/** Adds each child to the list as soon as it runs, so that those before one that can't be started are known. */
function startAll(commands: readonly Command[], options: ChainOptions, children: Child[]): Ends {
  const executables = commands.map(resolveTool);
  let link: OsPipe | undefined;
  let incoming: 'pipe' | 'ignore' | Readable | number = options.stdin;
  for (const [index, command] of commands.entries()) {
    const previous = link;
    const last = index === commands.length - 1;
    link = last ? undefined : openPipe();
    const outgoing = last ? options.stdout : (link?.write ?? 'pipe');
    try {
      children.push(new Child(command, executables[index] ?? command.file, incoming, outgoing));
    } catch (error) {
      if (link !== undefined) closePipe(link);
      throw error;
    } finally {
      // Our copies must go, or a writer would never learn that its reader has ended.
      if (previous !== undefined) closePipe(previous);
      if (incoming instanceof Readable) incoming.destroy();
    }
    incoming = link?.read ?? children.at(-1)?.stdout ?? 'ignore';
  }
  return { stdin: children[0]?.stdin ?? null, stdout: children.at(-1)?.stdout ?? null };
}

const abandoned = (message: string) => new HoldfastError('ToolFailed', message, 'run again if it should end by itself');

export interface CaptureOptions {
  readonly signal: AbortSignal;
  readonly input?: string | Uint8Array;
  /** More than this on stdout is a failure; default 16 MiB. */
  readonly maxBytes?: number;
}

/**
 * Runs one command and returns what it wrote, stdout as UTF-8. Errors as a chain's `finished` does; ToolFailed too
 * where stdout is longer than maxBytes.
 */
export async function capture(command: Command, options: CaptureOptions): Promise<{ stdout: string; stderr: string }> {
  const { stdout, stderr } = await captureBytes(command, options);
  return { stdout: stdout.toString('utf8'), stderr };
}

/** As capture, for output that isn't text. */
export async function captureBytes(
  command: Command,
  { signal, input, maxBytes = 16 * 1024 * 1024 }: CaptureOptions,
): Promise<{ stdout: Buffer; stderr: string }> {
  const chain = startChain([command], { stdin: input === undefined ? 'ignore' : 'pipe', stdout: 'pipe', signal });
  // A command that needn't read its input may end before it has: its exit code says whether that is well.
  chain.stdin?.end(input);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chain.stdout as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      await chain.kill();
      const name = toolName(command);
      throw new HoldfastError(
        'ToolFailed',
        `${name} wrote more than ${String(maxBytes)} bytes`,
        `look at what ${name} was asked for`,
      );
    }
    chunks.push(chunk);
  }
  const [exit] = await chain.finished;
  return { stdout: Buffer.concat(chunks), stderr: exit?.stderr ?? '' };
}
