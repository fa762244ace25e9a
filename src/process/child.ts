import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { deathSignalLauncher } from './death-signal.ts';
import { childEnvironment, findTool } from './environment.ts';
import { StderrKeeper } from './stderr.ts';

export interface Command {
  /** A name that is looked up along PATH, or a path. */
  readonly file: string;
  /** Never a secret: everybody on the machine can read them. */
  readonly args: readonly string[];
  /** What messages call it; default: the file's last part. */
  readonly name?: string;
  /**
   * The whole environment but PATH, TMPDIR, TZ and LC_ALL=C.UTF-8: PG*, AWS* and everything else of the worker's own
   * is not inherited.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** Every line of stderr, redacted, without its line feed, before the exit is reported. Throwing ends the chain. */
  readonly onStderrLine?: (line: string) => void;
  /** Values that must not appear in messages. */
  readonly secrets?: readonly string[];
  /** Exit codes that count as success; default [0]. */
  readonly okExitCodes?: readonly number[];
}

export interface Exit {
  readonly file: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** First and last kilobytes, redacted. */
  readonly stderr: string;
}

/** How a child ended, and what is needed to say whose fault it was. */
export interface Ending extends Exit {
  readonly name: string;
  readonly ok: boolean;
  /** It was ended by us, or had been told to end. */
  readonly stopped: boolean;
  /** The last line of stderr that isn't blank. */
  readonly lastLine: string;
  /** Set where the tool couldn't be started at all, or its stderr couldn't be handled. */
  readonly error?: unknown;
}

/** How long a stderr that something else still holds open is waited for once its process has gone. */
const stderrGraceMs = 1_000;

export const toolName = (command: Command) => command.name ?? basename(command.file);

/** The command's executable; ToolMissing if there is none. */
export function resolveTool(command: Command): string {
  const path = findTool(command.file, childEnvironment(command.env)['PATH']);
  if (path === undefined) throw toolMissing(command);
  return path;
}

function toolMissing(command: Command): HoldfastError {
  const where = command.file.includes('/') ? 'is not an executable file' : "was not found on the worker's PATH";
  return new HoldfastError('ToolMissing', `${command.file} ${where}`, `install ${toolName(command)} on the worker`);
}

/**
 * One process in a group (and session) of its own. What it leaves behind in its group is killed when it exits; the
 * kernel kills it when the worker dies.
 */
export class Child {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  /** Resolves once the process is gone and its stderr is read; never rejects. */
  readonly ended: Promise<Ending>;
  readonly #process: ChildProcess;
  readonly #pid: number | undefined;
  #exited = false;
  #stopped = false;
  #killTimer: NodeJS.Timeout | undefined;

  /** @param executable from resolveTool */
  constructor(
    command: Command,
    executable: string,
    stdin: 'pipe' | 'ignore' | Readable | number,
    stdout: 'pipe' | 'ignore' | number,
  ) {
    const [file = executable, ...args] = [...deathSignalLauncher(), executable, ...command.args];
    try {
      this.#process = spawn(file, args, {
        stdio: [stdin, stdout, 'pipe'],
        env: childEnvironment(command.env),
        detached: true,
        shell: false,
      });
    } catch (error) {
      // No file descriptors left, or arguments too long: Node throws these at once.
      throw notStarted(command, error);
    }
    this.#pid = this.#process.pid;
    this.stdin = this.#process.stdin;
    this.stdout = this.#process.stdout;
    this.ended = this.#watch(command);
  }

  /** Asks the whole group to end, and kills it after the grace. Returns at once. */
  terminate(graceMs: number): void {
    if (this.#exited || this.#stopped) return;
    this.#stopped = true;
    this.#signalGroup('SIGTERM');
    // One that is stopped gets the SIGTERM only when it goes on.
    this.#signalGroup('SIGCONT');
    this.#killTimer = setTimeout(() => {
      this.#signalGroup('SIGKILL');
    }, graceMs);
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#pid === undefined) return;
    try {
      process.kill(-this.#pid, signal);
    } catch {
      // ESRCH: nobody is left in the group.
    }
  }

  async #watch(command: Command): Promise<Ending> {
    let error: unknown;
    const keeper = new StderrKeeper(command.secrets, (line) => {
      if (error !== undefined) return;
      try {
        command.onStderrLine?.(line);
      } catch (thrown) {
        error = thrown;
        this.terminate(0);
      }
    });
    const stderrClosed = drain(this.#process, keeper);
    const { code, signal, spawnError } = await exitOf(this.#process);
    const stopped = this.#stopped;
    this.#exited = true;
    clearTimeout(this.#killTimer);
    this.#signalGroup('SIGKILL');
    if (spawnError === undefined) await stderrClosed();
    keeper.end();
    if (spawnError !== undefined) error = notStarted(command, spawnError);
    // The launcher's own words when the kernel refuses to run the tool.
    else if ((code === 126 || code === 127) && /^setpriv: failed to execute/m.test(keeper.text))
      error = toolMissing(command);
    const ok = error === undefined && code !== null && (command.okExitCodes ?? [0]).includes(code);
    const ending = { file: command.file, name: toolName(command), code, signal, ok, stopped };
    return { ...ending, stderr: keeper.text, lastLine: keeper.lastLine, ...(error === undefined ? {} : { error }) };
  }
}

interface RawExit {
  readonly code: number | null;
  readonly signal: string | null;
  readonly spawnError?: Error;
}

function exitOf(child: ChildProcess): Promise<RawExit> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => {
      resolve({ code, signal });
    });
    child.on('error', (spawnError) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, spawnError });
    });
  });
}

/** Reads stderr as it comes. The function it returns waits for its end, not for ever: a daemon may hold it open. */
function drain(child: ChildProcess, keeper: StderrKeeper): () => Promise<void> {
  const { stderr } = child;
  if (stderr === null) return () => Promise.resolve();
  stderr.setEncoding('utf8');
  stderr.on('data', (text: string) => {
    keeper.push(text);
  });
  stderr.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => stderr.once('close', resolve));
  return async () => {
    // After the timer one more turn of the loop: a worker that was busy or stopped reads what is there first.
    const timer = setTimeout(() => setImmediate(() => stderr.destroy()), stderrGraceMs);
    await closed;
    clearTimeout(timer);
  };
}

function notStarted(command: Command, spawnError: unknown): HoldfastError {
  const code = (spawnError as NodeJS.ErrnoException | undefined)?.code;
  if (code === 'ENOENT' || code === 'EACCES') return toolMissing(command);
  return new HoldfastError(
    'ToolFailed',
    `${toolName(command)} could not be started: ${messageOf(spawnError)}`,
    "look at the worker's limits on processes, open files and memory",
    { cause: spawnError },
  );
}
