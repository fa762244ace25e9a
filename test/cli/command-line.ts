import { PassThrough } from 'node:stream';
import type { Clock, Context } from '../../src/cli/context.ts';
import { Output, type Sink } from '../../src/cli/output.ts';
import { runCommandLine } from '../../src/cli/run-command-line.ts';

/** A stream that keeps what is written to it. */
export class Paper implements Sink {
  text = '';
  readonly isTTY: boolean;
  readonly columns = 100;

  constructor(isTTY = false) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }
}

/** Time passes only while somebody sleeps. */
class FakeClock implements Clock {
  nowMs: number;

  constructor(nowMs = Date.parse('2026-11-21T12:00:00Z')) {
    this.nowMs = nowMs;
  }

  now(): number {
    return this.nowMs;
  }

  sleep(ms: number): Promise<void> {
    this.nowMs += ms;
    return Promise.resolve();
  }
}

export interface Wishes {
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory?: string;
  readonly terminal?: boolean;
  readonly userName?: string;
  readonly typed?: string;
  /** Real time, for commands that talk to a real server. */
  readonly clock?: Clock;
}

export interface Desk extends Context {
  readonly stdout: Paper;
  readonly stderr: Paper;
  /** As Ctrl-C does. */
  interrupt(): void;
}

export function desk({
  environment = {},
  directory = '/nonexistent',
  terminal = false,
  userName = 'alice',
  typed,
  clock = new FakeClock(),
}: Wishes = {}): Desk {
  const handlers = new Set<() => void>();
  const stdin = Object.assign(new PassThrough(), { isTTY: terminal });
  if (typed !== undefined) stdin.end(`${typed}\n`);
  return {
    environment,
    directory,
    userName,
    stdin,
    stdout: new Paper(terminal),
    stderr: new Paper(terminal),
    clock,
    onInterrupt: (handler) => {
      handlers.add(handler);
      return () => {
        handlers.delete(handler);
      };
    },
    interrupt: () => {
      for (const handler of handlers) handler();
    },
  };
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line in this process, as a user would. */
export async function holdfast(argv: readonly string[], wishes: Wishes = {}): Promise<Ran> {
  const at = desk(wishes);
  const code = await runCommandLine(argv, at);
  return { code, stdout: at.stdout.text, stderr: at.stderr.text };
}

export const outputAt = ({ stdout, stderr }: Desk, json = false): Output =>
  new Output({ stdout, stderr, json, plain: true });
