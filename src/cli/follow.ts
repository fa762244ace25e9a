import { HoldfastError } from '../domain/errors.ts';
import type { Progress, Step } from '../domain/run.ts';
import { CommandError } from './command-error.ts';
import { interruptible, type Context } from './context.ts';
import { inline } from './markdown.ts';
import { movingText, Rate, type Moving } from './moving.ts';
import type { Output } from './output.ts';
import { styled, type Span, type Style } from './spans.ts';
import { isPassing } from './temporal.ts';
import { commandWord } from './type-this.ts';
import type { Look, Watch } from './watch.ts';

export interface FollowOptions {
  /** Asked at every look that has progress. `stop`: the command has what it came for, and the run goes on alone. */
  readonly onProgress?: (progress: Progress) => 'go on' | 'stop';
  /** Steps from the beginning that were shown, or are known, already. */
  readonly knownSteps?: readonly Step[];
}

export type Followed =
  | { readonly end: 'closed'; readonly look: Look }
  | { readonly end: 'stopped'; readonly look: Look; readonly progress: Progress };

const livePauseMs = 500;
const plainPauseMs = 2_000;
/** The first looks come fast: most runs of small clusters are over in seconds. */
const eagerPauseMs = 200;
const eagerLooks = 10;
/** Between lines about bytes where nobody has a live line. */
const plainMovingMs = 30_000;
/** Without a terminal nobody sees the notes: a script hears that no worker is there. */
const noWorkerPatienceMs = 300_000;
const noAnswerPatienceMs = 120_000;

/**
 * Shows a run's steps, bytes, rate and time left until it is closed or `onProgress` says stop. It only looks: Ctrl-C
 * leaves the run running, and says so (Interrupted). Throws NoSuchRun, NoWorker, TemporalUnavailable.
 */
export async function follow(
  context: Context,
  output: Output,
  watch: Watch,
  options: FollowOptions = {},
): Promise<Followed> {
  const { clock } = context;
  const display = new Display(output, options.knownSteps ?? []);
  const silence = new Silence(output, watch.run);
  return interruptible(context, async (signal) => {
    try {
      for (let looks = 1; ; looks += 1) {
        const look = await unlessAborted(signal, lookAgain(watch, silence, clock.now()));
        if (signal.aborted) throw interrupted(watch.run);
        if (look) {
          display.show(look, clock.now());
          const { progress } = look;
          if (!look.open) return { end: 'closed', look };
          silence.hear(look, clock.now());
          if (progress && options.onProgress?.(progress) === 'stop') return { end: 'stopped', look, progress };
        }
        const pauseMs = output.terminal ? livePauseMs : plainPauseMs;
        await clock.sleep(looks <= eagerLooks ? eagerPauseMs : pauseMs, signal);
      }
    } finally {
      output.live(null);
    }
  });
}

/** undefined: Temporal didn't answer this time. */
async function lookAgain(watch: Watch, silence: Silence, nowMs: number): Promise<Look | undefined> {
  try {
    return await watch.look();
  } catch (error) {
    if (!isPassing(error)) throw error;
    silence.unanswered(error, nowMs);
    return undefined;
  }
}

/** A look may hang for seconds where no worker is; Ctrl-C doesn't wait for it. */
async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  const done = new AbortController();
  const aborted = new Promise<undefined>((resolve) => {
    const stop = () => {
      resolve(undefined);
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true, signal: done.signal });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    done.abort();
    work.catch(() => undefined); // once aborted nobody waits for it any more
  }
}

const interrupted = (run: string) =>
  new CommandError(
    'Interrupted',
    `no longer following run ${run}, which goes on`,
    `'holdfast status ${commandWord(run)} --follow' shows it, 'holdfast cancel ${commandWord(run)}' ends it`,
  );

/** Says once when nobody answers, and once when somebody does again. */
class Silence {
  readonly #output: Output;
  readonly #run: string;
  #said: 'no worker' | 'no answer' | null = null;
  #sinceMs: number | null = null;

  constructor(output: Output, run: string) {
    this.#output = output;
    this.#run = run;
  }

  hear({ progress, polled }: Look, nowMs: number): void {
    if (progress) {
      if (this.#said !== null)
        this.#output.warn(this.#said === 'no worker' ? 'a worker answers' : 'Temporal answers again');
      this.#said = null;
      this.#sinceMs = null;
      return;
    }
    this.#sinceMs ??= nowMs;
    if (this.#said !== 'no worker') {
      this.#said = 'no worker';
      this.#output.warn(
        polled === true
          ? 'no worker answers for this run right now; waiting for one'
          : "no worker answers: start one with 'holdfast worker'. The run waits for it",
      );
    }
    if (!this.#output.terminal && polled !== true && nowMs - this.#sinceMs > noWorkerPatienceMs)
      throw new HoldfastError(
        'NoWorker',
        `no worker takes up run ${this.#run}, which stays open`,
        `start one with 'holdfast worker', or end the run with 'holdfast cancel ${commandWord(this.#run)}'`,
      );
  }

  unanswered(error: unknown, nowMs: number): void {
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#sinceMs > noAnswerPatienceMs) throw error;
    if (this.#said === 'no answer') return;
    this.#said = 'no answer';
    this.#output.warn("Temporal doesn't answer; trying again. The run is not affected");
  }
}

const marks: Readonly<Record<Step['status'], readonly [mark: string, style: Style]>> = {
  running: ['▶', 'cyan'],
  done: ['✔', 'green'],
  failed: ['✘', 'red'],
  waiting: ['…', 'yellow'],
};

export function stepLine({ name, status, note }: Step): Span[] {
  const [mark, style] = marks[status];
  return ['  ', styled(style, mark), ` ${name}`, ...(note === null ? [] : [': ', ...inline(note)])];
}

/** On a terminal finished steps and one live line; elsewhere a line for each beginning, end and half minute of bytes. */
class Display {
  readonly #output: Output;
  readonly #rates = new Map<string, Rate>();
  readonly #shown: Step['status'][];
  #movingAtMs = 0;

  constructor(output: Output, known: readonly Step[]) {
    this.#output = output;
    this.#shown = known.map(({ status }) => status);
  }

  show(look: Look, nowMs: number): void {
    const steps = look.progress?.steps ?? [];
    for (const [index, step] of steps.entries()) {
      const ended = step.status === 'done' || step.status === 'failed';
      if (this.#shown[index] === step.status || (!ended && this.#output.terminal)) continue;
      this.#shown[index] = step.status;
      this.#output.line(...stepLine(step));
      this.#movingAtMs = nowMs;
    }
    const texts = look.moving.map((moving) => movingText(moving, this.#rate(moving, nowMs)));
    if (this.#output.terminal) {
      this.#output.live(look.open ? liveLine(steps, texts, look) : null);
    } else if (texts.length > 0 && nowMs - this.#movingAtMs >= plainMovingMs) {
      this.#movingAtMs = nowMs;
      for (const text of texts) this.#output.line(`    ${text}`);
    }
  }

  #rate(moving: Moving, nowMs: number): number | undefined {
    const rate = this.#rates.get(moving.activity) ?? new Rate();
    this.#rates.set(moving.activity, rate);
    return rate.observe(moving, nowMs);
  }
}

function liveLine(steps: readonly Step[], texts: readonly string[], look: Look): Span[] {
  const running = steps.findLast(({ status }) => status === 'running' || status === 'waiting');
  const waits = look.progress?.waitingFor === 'decision' ? ['waits for a decision'] : [];
  const what = [...(running ? [running.name] : []), ...waits].join(': ');
  const moving = texts.length === 0 ? [] : [styled('dim', `${what === '' ? '' : ': '}${texts.join('; ')}`)];
  return what === '' && moving.length === 0
    ? ['  … waits for a worker']
    : ['  ', styled('cyan', '▶'), ` ${what}`, ...moving];
}
