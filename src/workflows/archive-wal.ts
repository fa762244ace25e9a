import {
  CancellationScope,
  allHandlersFinished,
  condition,
  continueAsNew,
  isCancellation,
  setHandler,
  sleep,
  startChild,
  workflowInfo,
} from '@temporalio/workflow';
import type { FoundGap, WalAuditResult } from '../activities/index.ts';
import { archiveWalArgument, parseArgument } from '../domain/arguments.ts';
import { formatCount } from '../domain/format.ts';
import { startedWorkflowId } from '../domain/ids.ts';
import type { WalSpec } from '../domain/physical-specs.ts';
import { renderWindow } from '../domain/render-window.ts';
import { control, quick, streamingWal } from './activities.ts';
import { fail, failureText } from './failures.ts';
import { Journal, nowIso, runIdentity } from './journal.ts';
import { retireSignal, windowQuery } from './messages.ts';

/** How long one activity streams before the archive is audited. */
const turnMs = 60 * 60_000;
/** The same while a gap has nothing behind it that is archived. */
const gapTurnMs = 60_000;
/** A history of so many turns is begun anew, whatever Temporal suggests. */
const turnsAtMost = 200;
const longestPauseMs = 60_000;
/** A stream that lived for so long was archiving: what ends it is no further failure in a row. */
const livedMs = 5 * 60_000;

/** What one run hands on to the next. */
interface Carried {
  readonly failures: number;
  /** First missing segments of gaps that a base backup was begun for. */
  readonly answered: readonly string[];
}

/**
 * Lives for ever: `{"cluster":"infra"}`. One activity streams the log into the repository for an hour, then the names
 * of the archive are audited, and so on. Whatever fails is tried again without end, a minute apart at most; how far the
 * archive lags behind is what alerts. A gap is answered with a base backup, because recovery can't cross it.
 */
export async function archiveWal(input: unknown, carried: Carried = { failures: 0, answered: [] }): Promise<void> {
  try {
    const { cluster } = parseArgument('archiveWal', archiveWalArgument, input);
    const archiving = new Archiving(cluster, carried);
    const isLong = (turns: number) => turns >= turnsAtMost || workflowInfo().continueAsNewSuggested;
    for (let turn = 0; !archiving.retired && !isLong(turn); turn += 1) await archiving.turn();
    if (archiving.retired) {
      await archiving.end();
      return;
    }
    await condition(allHandlersFinished);
    await continueAsNew<typeof archiveWal>(input, archiving.carried);
  } catch (error) {
    throw fail(error);
  }
}

class Archiving {
  readonly #cluster: string;
  readonly #journal: Journal;
  readonly #run = runIdentity();
  #failures: number;
  #answered: readonly string[];
  #audit: WalAuditResult | null = null;
  #trouble: string | null = null;
  /** Gaps behind which nothing is archived yet. */
  #ahead: readonly FoundGap[] = [];
  /** Until it is tried again. */
  #pausing = false;
  #spec: WalSpec | null = null;
  #scope: CancellationScope | null = null;
  retired = false;

  constructor(cluster: string, { failures, answered }: Carried) {
    this.#cluster = cluster;
    this.#failures = failures;
    this.#answered = answered;
    this.#journal = new Journal('archiveWal', `of cluster ${cluster}`);
    setHandler(
      retireSignal,
      () => {
        this.retired = true;
        this.#scope?.cancel();
      },
      { description: 'end the archive for good: its replication slot is dropped' },
    );
    setHandler(windowQuery, () => this.#audit?.windows ?? null, {
      description: 'from when to when the cluster can be recovered, as the last audit found it',
    });
  }

  get carried(): Carried {
    return { failures: this.#failures, answered: this.#answered };
  }

  /** Until the activity ends, something fails, or the archive is retired. */
  async turn(): Promise<void> {
    this.#scope = new CancellationScope();
    const begunAt = Date.now();
    try {
      await this.#scope.run(() => this.#stream());
    } catch (error) {
      if (this.retired) return;
      if (isCancellation(error)) throw error;
      this.#failures = Date.now() - begunAt > livedMs ? 1 : this.#failures + 1;
      this.#trouble = `${nowIso()}: ${failureText(error)}`;
      this.#pausing = true;
      this.#show();
      await sleep(Math.min(longestPauseMs, 1_000 * 2 ** Math.min(this.#failures - 1, 6)));
      this.#pausing = false;
      this.#show();
    }
  }

  /** What the server keeps for a slot that nobody reads would fill its disk. */
  async end(): Promise<void> {
    const spec = this.#spec;
    if (spec !== null)
      await this.#journal.step('drop the slot', () => quick(spec.source.site, (at) => at.removeWalSlot({ spec })));
  }

  async #stream(): Promise<void> {
    const spec = await control.resolveWal({ cluster: this.#cluster });
    this.#spec = spec;
    // At once, too: an hour is long for somebody who looks, and for a gap that a killed worker left unanswered.
    if (this.#audit === null) await this.#auditAndAnswer(spec, []);
    const { gaps } = await streamingWal(spec.source.site).streamWal({
      ...{ spec, run: this.#run, durationMs: this.#ahead.length > 0 ? gapTurnMs : turnMs },
      knownGaps: this.#answered,
    });
    this.#failures = 0;
    this.#trouble = null;
    await this.#auditAndAnswer(spec, gaps);
  }

  async #auditAndAnswer(spec: WalSpec, found: readonly FoundGap[]): Promise<void> {
    this.#audit = await quick(spec.source.site, (at) => at.auditWal({ spec }));
    const { gaps, reachesPresent } = this.#audit;
    // The names in the archive show a gap only once something behind it is there.
    const ahead = new Map([...this.#ahead, ...found].map((gap) => [gap.firstMissing, gap]));
    for (const { firstMissing } of gaps) ahead.delete(firstMissing);
    this.#ahead = [...ahead.values()];
    this.#show();
    const unanswered = [...gaps, ...this.#ahead].filter(({ firstMissing }) => !this.#answered.includes(firstMissing));
    const news = unanswered.map(({ firstMissing }) => firstMissing);
    // What lies ahead of all that is archived no audit can count.
    const wanting = !reachesPresent || this.#ahead.some(({ firstMissing }) => news.includes(firstMissing));
    if (news.length > 0 && wanting) await this.#answer(spec, news.at(-1) ?? '');
    this.#answered = [...this.#answered, ...news].slice(-100);
  }

  /** Recovery can't cross a gap: a base backup behind it, begun once for each. */
  async #answer({ basePolicy }: WalSpec, firstMissing: string): Promise<void> {
    if (basePolicy === null) return;
    await startChild('backup', {
      workflowId: startedWorkflowId('backup', basePolicy, `gap-${firstMissing}`),
      args: [{ policy: basePolicy }],
      parentClosePolicy: 'ABANDON',
      staticSummary: `backup of cluster ${this.#cluster}, because its log has a gap`,
    });
  }

  /** While it is tried again nobody knows here whether it goes well: the activity's heartbeat tells. */
  #troubleText(): string[] {
    if (this.#trouble === null) return [];
    const state = this.#pausing ? '**NOT ARCHIVING**' : 'archiving is being tried again';
    return [`${state} (${formatCount(this.#failures, 'failure')} in a row): ${this.#trouble}`, ''];
  }

  #show(): void {
    const gaps = [...(this.#audit?.gaps ?? []), ...this.#ahead];
    const standing = [
      ...this.#troubleText(),
      ...gaps.map(({ firstMissing, lastMissing }) => `- gap: ${firstMissing} to ${lastMissing} are missing`),
      ...(this.#audit === null ? ['not audited yet'] : ['```', renderWindow(this.#audit.windows, new Date()), '```']),
    ].join('\n');
    this.#journal.body = standing;
    this.#journal.standing = standing;
    this.#journal.show();
  }
}
