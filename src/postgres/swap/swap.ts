import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import type { SwapFacts, SwapInput, SwapMark, SwapResult, SwapState, SwapStep } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import type { Server } from '../server.ts';
import { describeDifference } from './differences.ts';
import { inspectSwap } from './inspect.ts';
import { openDesk, type Desk, type DeskOptions, type DeskOrder } from './maintenance.ts';
import { inTheWay, refusal, swapObstacles } from './obstacles.ts';
import { endSessions, pauseFor, whoIsInTheWay } from './sessions.ts';
import { assertTarget, foreignState, reversed, swapState } from './state.ts';
import { close, mayPass, open, rename, reopen, reopenAlone, serverClock } from './steps.ts';

/** Between which steps `failpoint` is called, in their order. */
export const swapFailpoints = ['inspected', 'closed', 'sessions ended', 'renaming', 'renamed', 'opened'] as const;
export type SwapFailpoint = (typeof swapFailpoints)[number];

export interface SwapOptions {
  /** Aborting brings the old state back, unless the names are exchanged already: then the swap is finished. */
  readonly signal: AbortSignal;
  readonly onStep?: (step: SwapStep) => void;
  /** A server that lets a query wait for longer counts as lost, and is connected to anew; default 60 s. */
  readonly answerWithinMs?: number;
  /** For tests: what dies or throws here was interrupted between two steps. */
  readonly failpoint?: (name: SwapFailpoint) => Promise<void>;
}

/**
 * Exchanges a live database with a copy: both are closed, their sessions ended, both names changed in one transaction
 * in which the copy also gets the live one's owner, privileges, settings and comment, and the new one is opened. The
 * old one keeps everything it had, and stays closed.
 *
 * Resolves only when the copy is live; rejects only with the old state in place, names and connections, wherever the
 * server can be reached to see to that. What was interrupted at any point, by SIGKILL too, is gone on with by calling
 * it again with the same input, also while the earlier attempt still hangs somewhere: that one is ended. Done already
 * is a success.
 *
 * Rejects with PlanChanged (the databases aren't those that were planned with: nothing was touched), SwapFailed
 * (something is in the way and needs a person), Busy (another swap of one of them), PostgresUnavailable (worth
 * another call: it finds what the last one left), PostgresRefused, InvalidArgument, or the signal's reason.
 */
export async function swapDatabases(server: Server, input: SwapInput, options: SwapOptions): Promise<SwapResult> {
  return new Exchange(server, input, 'swap', options).run();
}

/**
 * Takes the same input as the swap that it takes back: the database that was put aside is live again, as it was, and
 * the restored one gets its copy's name again, closed. The same promises.
 */
export async function undoSwap(server: Server, input: SwapInput, options: SwapOptions): Promise<SwapResult> {
  return new Exchange(server, reversed(input), 'undo', options).run();
}

const defaultMaxClosedMs = 30_000;
/** More than any wait of our own: statements are bounded by 30 s. */
const defaultAnswerWithinMs = 60_000;
const firstRenameWaitMs = 250;
const longestRenameWaitMs = 8_000;
const renamePauseMs = 20;
const settleTries = 5;
const settlePauseMs = 500;

class Exchange {
  readonly #server: Server;
  readonly #input: SwapInput;
  readonly #order: DeskOrder;
  readonly #options: SwapOptions;
  readonly #ended = new Set<number>();
  readonly #notes: string[] = [];
  #found: SwapState = 'foreign';
  #downtimeMs: number | null = null;
  /** What this attempt wrote, or was about to; null once the databases are opened. */
  #mark: SwapMark | null = null;

  constructor(server: Server, input: SwapInput, operation: DeskOrder['operation'], options: SwapOptions) {
    this.#server = server;
    this.#input = input;
    this.#options = options;
    const { liveOid, copyOid, liveName, copyName, oldName } = input;
    this.#order = { operation, oids: [liveOid, copyOid], names: [liveName, copyName, oldName] };
  }

  async run(): Promise<SwapResult> {
    assertTarget(this.#input);
    const desk = await this.#openDesk({ takeOver: true });
    try {
      return await this.#forward(desk.session);
    } catch (error) {
      return await this.#settle(desk, error);
    } finally {
      await desk.close();
    }
  }

  #openDesk(wishes: DeskOptions): Promise<Desk> {
    const { answerWithinMs = defaultAnswerWithinMs } = this.#options;
    return openDesk(this.#server, this.#order, { ...wishes, answerWithinMs });
  }

  async #forward(session: Session): Promise<SwapResult> {
    const facts = await inspectSwap(session, this.#input);
    this.#found = swapState(facts);
    const after = await this.#exchange(session, facts, this.#found);
    if (after !== null) await this.#open(session, after);
    return this.#result();
  }

  /** The mark under which the names are exchanged and the databases closed; null: opened already. */
  async #exchange(session: Session, facts: SwapFacts, state: SwapState): Promise<SwapMark | null> {
    if (state === 'done') return null;
    if (state === 'swapped') return facts.mark;
    this.#notes.push(...this.#judge(facts, state));
    this.#options.signal.throwIfAborted();
    await this.#pause('inspected');
    this.#options.onStep?.('close');
    // What an interrupted attempt closed may have been opened by a person since, so it is closed again; the clock of
    // the first goes on counting.
    this.#mark = facts.mark ?? {
      closedAtMs: await serverClock(session),
      copyWasOpen: facts.copy?.allowsConnections === true,
    };
    await close(session, this.#input, this.#mark);
    await this.#pause('closed');
    await this.#exchangeNames(session, facts.user.superuser);
    await this.#pause('renamed');
    return this.#mark;
  }

  /** Throws what is in the way, returns what should be known. */
  #judge(facts: SwapFacts, state: SwapState): string[] {
    if (state === 'foreign') throw foreignState(facts);
    const obstacles = swapObstacles(facts, this.#input);
    const blocking = obstacles.filter(inTheWay);
    if (blocking.length > 0) throw refusal(this.#input, blocking);
    return obstacles.map(({ what }) => what);
  }

  /**
   * A client that was being let in while the databases were closed, and autovacuum, hold up a rename for as long as
   * PostgreSQL waits for them: so each attempt gets a short time, then what has come in is ended, and it is tried
   * again, with more time.
   */
  async #exchangeNames(session: Session, superuser: boolean): Promise<void> {
    const { signal, onStep } = this.#options;
    const { liveOid, copyOid, maxClosedMs = defaultMaxClosedMs } = this.#input;
    const oids = [liveOid, copyOid];
    const until = performance.now() + maxClosedMs;
    const left = () => until - performance.now();
    onStep?.('end sessions');
    for (let waitMs = firstRenameWaitMs; ; waitMs = Math.min(waitMs * 2, longestRenameWaitMs)) {
      await endSessions(session, oids, { signal, left, superuser, ended: this.#ended });
      await this.#pause('sessions ended');
      const facts = await inspectSwap(session, this.#input);
      this.#judge(facts, swapState({ ...facts, mark: facts.mark ?? this.#mark }));
      signal.throwIfAborted();
      onStep?.('rename');
      try {
        const differences = await rename(session, this.#input, waitMs, () => this.#pause('renaming'));
        this.#notes.push(
          ...differences.map((difference) => `carried over with a difference: ${describeDifference(difference)}`),
        );
        return;
      } catch (error) {
        if (!mayPass(error)) throw error;
        if (left() <= 0) throw await this.#notRenamed(session, oids, maxClosedMs, error);
        await pauseFor(renamePauseMs, signal);
      }
    }
  }

  async #notRenamed(
    session: Session,
    oids: readonly number[],
    maxClosedMs: number,
    error: unknown,
  ): Promise<HoldfastError> {
    const who = await whoIsInTheWay(session, oids);
    return new HoldfastError(
      'SwapFailed',
      `'${this.#input.liveName}' and '${this.#input.copyName}' could not be renamed within ${String(maxClosedMs)} ms${who === '' ? '' : ` (${who})`}: ${messageOf(error)}`,
      'the live database is as it was; end what the text names, then start the swap again',
      { cause: error },
    );
  }

  async #open(session: Session, mark: SwapMark): Promise<void> {
    this.#options.onStep?.('open');
    await this.#openNow(session, mark);
    await this.#pause('opened');
  }

  async #openNow(session: Session, mark: SwapMark): Promise<void> {
    const openedAtMs = await open(session, this.#input);
    this.#mark = null;
    this.#downtimeMs = Math.max(0, Math.round(openedAtMs - mark.closedAtMs));
  }

  async #pause(name: SwapFailpoint): Promise<void> {
    await this.#options.failpoint?.(name);
  }

  /**
   * Something failed: back to the old state, or on to the new one if the names are exchanged already. Ends with
   * the result or with an error, never half-way where the server can be reached.
   */
  async #settle(desk: Desk, error: unknown): Promise<SwapResult> {
    const state = await this.#settled(desk, error);
    if (state !== 'done') throw error;
    this.#notes.push(`finished in spite of: ${messageOf(error)}`);
    return this.#result();
  }

  async #settled(desk: Desk, error: unknown): Promise<SwapState> {
    let lost: unknown;
    for (let attempt = 0; attempt <= settleTries; attempt += 1) {
      try {
        return attempt === 0
          ? await this.#settleIn(desk.session, this.#mark)
          : await this.#settleAnew(desk.session.backendPid);
      } catch (failure) {
        if (isTakenOver(failure)) throw failure;
        lost = failure;
        if (attempt > 0) await sleep(settlePauseMs);
      }
    }
    throw this.#unsettled(error, lost);
  }

  async #settleAnew(brokenPid: number): Promise<SwapState> {
    const desk = await this.#openDesk({ takeOver: false, ended: brokenPid });
    try {
      return await this.#settleIn(desk.session, null);
    } finally {
      await desk.close();
    }
  }

  /**
   * @param own what this attempt knows to have closed, whatever has become of the mark. To be trusted only in the
   *   session that held the lock all the time.
   */
  async #settleIn(session: Session, own: SwapMark | null): Promise<SwapState> {
    const facts = await inspectSwap(session, this.#input);
    const mark = facts.mark ?? own;
    const state = swapState({ ...facts, mark });
    if (mark === null) return state;
    if (state === 'closed') {
      await reopen(session, this.#input, mark);
      return 'before';
    }
    if (state === 'swapped') {
      await this.#openNow(session, mark);
      return 'done';
    }
    if (own !== null && facts.live?.name === this.#input.liveName) await reopenAlone(session, this.#input);
    return state;
  }

  #unsettled(error: unknown, lost: unknown): HoldfastError {
    const { liveName, copyName } = this.#input;
    return new HoldfastError(
      'PostgresUnavailable',
      `the swap of '${liveName}' was interrupted (${messageOf(error)}), and what state it is in can't be seen: ${messageOf(lost)}`,
      `'${liveName}' may be closed: call the swap again once the server can be reached, which goes on where it stopped; ` +
        `by hand: ALTER DATABASE … ALLOW_CONNECTIONS true for it, unless '${copyName}' is gone`,
      { cause: error },
    );
  }

  #result(): SwapResult {
    const { liveName, liveOid, copyOid, oldName } = this.#input;
    return {
      found: this.#found === 'foreign' ? 'before' : this.#found,
      downtimeMs: this.#downtimeMs,
      sessionsEnded: this.#ended.size,
      live: { name: liveName, oid: copyOid },
      aside: { name: oldName, oid: liveOid },
      notes: this.#notes,
    };
  }
}

/** Another attempt has ended this one's session and has the lock: it sees to the rest. */
const isTakenOver = (failure: unknown) =>
  failure instanceof HoldfastError && failure.type === 'Busy' && sqlState(failure) === undefined;
