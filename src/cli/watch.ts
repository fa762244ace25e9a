import type { TemporalConnection } from '../client/connect.ts';
import { isPolled } from '../client/pollers.ts';
import { archiveType, describeRun, heartbeats, progressOf, runTypes } from '../client/runs.ts';
import { HoldfastError } from '../domain/errors.ts';
import { controlQueue } from '../domain/ids.ts';
import type { Progress } from '../domain/run.ts';
import { readArchiving, readHeartbeat, type Archiving, type Moving } from './moving.ts';
import { runFailure } from './run-failure.ts';

/** One look at a run: what Temporal knows of it, and what it says of itself where a worker can answer for it. */
export interface Look {
  readonly workflow: string;
  /** As Temporal names it: RUNNING, COMPLETED, FAILED, … */
  readonly status: string;
  readonly open: boolean;
  readonly startedAt: Date;
  readonly closedAt: Date | undefined;
  /** undefined: no worker answered. */
  readonly progress: Progress | undefined;
  /** Asked only where no worker answered: whether one has asked the queue for work lately. */
  readonly polled: boolean | undefined;
  readonly moving: readonly Moving[];
  /** Of a WAL archive: how far it is; undefined where it hasn't said so. */
  readonly archiving?: Archiving | undefined;
}

export interface Watch {
  readonly run: string;
  /** Throws NoSuchRun. */
  look(): Promise<Look>;
  /** The result of a run that is closed. Throws why it failed, typed. */
  outcome(): Promise<unknown>;
}

const ours: readonly string[] = [...runTypes, archiveType];

export function watchRun({ client, namespace }: TemporalConnection, run: string): Watch {
  return {
    run,
    async look() {
      const description = await describeRun(client, run);
      if (!ours.includes(description.type))
        throw new HoldfastError(
          'NoSuchRun',
          `'${run}' is a workflow of type ${description.type}, not a run of Holdfast`,
          "'holdfast status' lists the runs",
        );
      const open = description.status.name === 'RUNNING';
      const progress = await progressOf(client, run);
      const beats = heartbeats(description);
      return {
        workflow: description.type,
        status: description.status.name,
        open,
        startedAt: description.startTime,
        closedAt: description.closeTime,
        progress,
        polled: progress === undefined ? await isPolled(client, namespace, controlQueue) : undefined,
        moving: beats.map(readHeartbeat),
        archiving: description.type === archiveType ? readArchiving(beats) : undefined,
      };
    },
    async outcome() {
      try {
        const result: unknown = await client.workflow.getHandle(run).result();
        return result;
      } catch (error) {
        throw runFailure(error, run);
      }
    },
  };
}
