import { z } from 'zod';

/**
 * Who may do what to a cluster at the same time. Kept by one entity workflow per cluster; decided here.
 *
 * | mode     | held by                                   | refused while held by another |
 * | -------- | ----------------------------------------- | ----------------------------- |
 * | `backup` | a backup that reads the cluster           | `change`                      |
 * | `source` | a restore that reads one of its backups   | `prune`                       |
 * | `prune`  | a prune that deletes backups of it        | `prune`                       |
 * | `change` | a swap, or anything else destructive      | `backup`, `change`            |
 *
 * A `prune` is granted beside `source` holders: it is told which backups they read, and spares those.
 */
export const leaseModes = ['backup', 'source', 'prune', 'change'] as const;
export type LeaseMode = (typeof leaseModes)[number];

export const leaseRequestSchema = z
  .strictObject({
    mode: z.enum(leaseModes),
    /** Workflow id of the run that wants it. */
    workflowId: z.string().min(1),
    /** First execution run id: together they name one run, whatever its id. */
    runId: z.string().min(1),
    /** For `source`: the backup that is read. */
    backup: z.string().optional(),
  })
  .refine((request) => (request.backup !== undefined) === (request.mode === 'source'), {
    path: ['backup'],
    message: 'goes with mode source, and only with it: the backup that is read',
  });

export type LeaseRequest = Readonly<z.infer<typeof leaseRequestSchema>>;
export type Holder = LeaseRequest;

export type Grant =
  /** `inUse`: the backups that `source` holders read, with their workflow ids. */
  | { readonly granted: true; readonly inUse: readonly (readonly [backup: string, workflowId: string])[] }
  | { readonly granted: false; readonly holders: readonly Holder[] };

const refusedBy: Readonly<Record<LeaseMode, readonly LeaseMode[]>> = {
  backup: ['change'],
  source: ['prune'],
  prune: ['prune'],
  change: ['backup', 'change'],
};

export const sameLease = (a: Holder, b: LeaseRequest) =>
  a.mode === b.mode && a.workflowId === b.workflowId && a.runId === b.runId && a.backup === b.backup;

/** Asking again for what one already holds is granted: an activity that lost its answer asks twice. */
export function decideLease(holders: readonly Holder[], request: LeaseRequest): Grant {
  const held = holders.some((holder) => sameLease(holder, request));
  const inWay = holders.filter(
    (holder) =>
      !held &&
      refusedBy[request.mode].includes(holder.mode) &&
      !(holder.workflowId === request.workflowId && holder.runId === request.runId),
  );
  if (inWay.length > 0) return { granted: false, holders: inWay };
  const inUse = holders.flatMap((holder) =>
    holder.mode === 'source' && holder.backup !== undefined ? [[holder.backup, holder.workflowId] as const] : [],
  );
  return { granted: true, inUse };
}

export function withHolder(holders: readonly Holder[], request: LeaseRequest): Holder[] {
  return holders.some((holder) => sameLease(holder, request)) ? [...holders] : [...holders, request];
}

export const withoutHolder = (holders: readonly Holder[], request: LeaseRequest): Holder[] =>
  holders.filter((holder) => !sameLease(holder, request));
