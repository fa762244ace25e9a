import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { Grant, LeaseRequest } from '../domain/lease.ts';
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

/** After a swap: drop the database that was put aside, or swap it back. */
export const releaseSignal = defineSignal<[unknown]>('release');
export const undoSignal = defineSignal<[unknown]>('undo');

/** Spoken by activities to the entity workflow that keeps a cluster's leases. */
export const acquireUpdate = defineUpdate<Grant, [unknown]>('acquire');
export const giveBackUpdate = defineUpdate<{ readonly holders: number }, [unknown]>('give-back');
export const holdersQuery = defineQuery<readonly LeaseRequest[]>('holders');
