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
/** A history of so many turns is begun anew, whatever Temporal suggests. */
const turnsAtMost = 200;
const longestPauseMs = 60_000;

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
    for (let turn = 0; turn < turnsAtMost && !workflowInfo().continueAsNewSuggested; turn += 1) {
      if (archiving.retired) {
        await archiving.end();
        return;
      }
      await archiving.turn();
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
    try {
      await this.#scope.run(() => this.#stream());
    } catch (error) {
      if (this.retired) return;
      if (isCancellation(error)) throw error;
      this.#failures += 1;
      this.#trouble = `${nowIso()}: ${failureText(error)}`;
      this.#show();
      await sleep(Math.min(longestPauseMs, 1_000 * 2 ** Math.min(this.#failures - 1, 6)));
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
    const { site } = spec.source;
    const { gaps } = await streamingWal(site).streamWal({ spec, run: this.#run, durationMs: turnMs });
    this.#failures = 0;
    this.#trouble = null;
    this.#audit = await quick(site, (at) => at.auditWal({ spec }));
    this.#show();
    await this.#answer(spec, [...gaps, ...this.#audit.gaps]);
  }

  /** One base backup for the newest gap that none was begun for yet; nothing where the present can be reached. */
  async #answer({ basePolicy }: WalSpec, gaps: readonly FoundGap[]): Promise<void> {
    const news = gaps.filter(({ firstMissing }) => !this.#answered.includes(firstMissing));
    if (news.length === 0) return;
    this.#answered = [...this.#answered, ...news.map(({ firstMissing }) => firstMissing)].slice(-100);
    if (basePolicy === null || this.#audit?.reachesPresent === true) return;
    await startChild('backup', {
      workflowId: startedWorkflowId('backup', basePolicy, `gap-${news.at(-1)?.firstMissing ?? ''}`),
      args: [{ policy: basePolicy }],
      parentClosePolicy: 'ABANDON',
      staticSummary: `backup of cluster ${this.#cluster}, because its log has a gap`,
    });
  }

  #show(): void {
    const gaps = this.#audit?.gaps ?? [];
    const standing = [
      ...(this.#trouble === null
        ? []
        : [`**NOT ARCHIVING** (${formatCount(this.#failures, 'failure')} in a row): ${this.#trouble}`, '']),
      ...gaps.map(({ firstMissing, lastMissing }) => `- gap: ${firstMissing} to ${lastMissing} are missing`),
      ...(this.#audit === null ? ['not audited yet'] : ['```', renderWindow(this.#audit.windows, new Date()), '```']),
    ].join('\n');
    this.#journal.body = standing;
    this.#journal.standing = standing;
    this.#journal.show();
  }
}
