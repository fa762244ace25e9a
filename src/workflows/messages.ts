import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Grant, LeaseRequest } from '../domain/lease.ts';
import type { RecoveryWindows } from '../domain/recovery-window.ts';
import type { Progress } from '../domain/run.ts';

/**
 * Everything that can be said to a running workflow. Payloads are `unknown` until read: they are typed by hand into
 * the Temporal UI as often as they come from a program.
 */

export const progressQuery = defineQuery<Progress>('progress');

export const approveSignal = defineSignal<[unknown]>('approve');
export const rejectSignal = defineSignal<[unknown]>('reject');
/** As approve and reject, but answered at once: `{"decision":"approve","by":…,"reason":…,"plan":…}`. */
export const decideUpdate = defineUpdate<{ readonly taken: true; readonly plan: string }, [unknown]>('decide');

/** What a human may ask once something is done, each a signal of that name. */
export const followUpSignals = {
  undo: defineSignal<[unknown]>('undo'),
  release: defineSignal<[unknown]>('release'),
  promote: defineSignal<[unknown]>('promote'),
  'go-on': defineSignal<[unknown]>('go-on'),
  'throw-away': defineSignal<[unknown]>('throw-away'),
} as const;

/** To a WAL archive that nobody wants any more: it ends, and its replication slot goes. */
export const retireSignal = defineSignal('retire');
/** Of a WAL archive: what its last audit found; null before the first. */
export const windowQuery = defineQuery<RecoveryWindows | null>('window');

/** Spoken by activities to the entity workflow that keeps a cluster's leases. */
export const acquireUpdate = defineUpdate<Grant, [unknown]>('acquire');
export const giveBackUpdate = defineUpdate<{ readonly holders: number }, [unknown]>('give-back');
export const holdersQuery = defineQuery<readonly LeaseRequest[]>('holders');
