import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../domain/errors.ts';
import type { InstanceConfig } from '../domain/config.ts';
import type { RecoverSpec } from '../domain/physical-specs.ts';
import { readControlData } from '../postgres/instance/control-data.ts';
import { instanceState } from '../postgres/instance/state.ts';
import { handOver } from '../postgres/recovery/promote.ts';
import { asidesOf, putAside, putBack, releaseAside, type Aside } from '../postgres/recovery/put-aside.ts';
import { throwAway } from '../postgres/recovery/throw-away.ts';
import { findServerPrograms } from '../postgres/server-programs.ts';
import { runServiceCommand } from '../process/service-command.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import type { PlannedRecovery } from './plan-recovery.ts';
import { mappingOf, type RecoveryCopyInput } from './recover-copy.ts';
import { untilItAnswers } from './until-it-answers.ts';
import type { Working } from './working.ts';

const stopMs = 5 * 60_000;
const pauseMs = 500;

/** Stops the cluster's own server and puts its directories aside. Called again it goes on. */
export async function stopAndPutAside(
  deps: Dependencies,
  input: RecoveryCopyInput,
  { signal, report }: Working,
): Promise<{ readonly asides: readonly Aside[] }> {
  report({ doing: 'stopping the server' });
  await deps.failpoint('in place:stop');
  await stopServer(input, signal);
  await deps.failpoint('in place:stopped');
  report({ doing: 'putting its directories aside' });
  const asides = await putAside({ ...whatGoesAside(input), isGone: input.planned.workload !== undefined });
  await deps.failpoint('in place:aside');
  return { asides };
}

/** The data directory, and the tablespaces that the recovered state has in the same places. */
const whatGoesAside = ({ planned, run }: Pick<RecoveryCopyInput, 'planned' | 'run'>) => ({
  id: run.short,
  dataDirectory: planned.places.dataDirectory,
  tablespaceDirectories: planned.plan.facts.makes.tablespaces.flatMap(({ from, to }) => (from === to ? [from] : [])),
});

/** Gives the promoted copy to the cluster's own service, and waits until that answers. */
export async function handOverInPlace(
  deps: Dependencies,
  { spec, planned }: RecoveryCopyInput,
  { signal, report }: Working,
): Promise<void> {
  const { dataDirectory, workDirectory } = planned.places;
  const tablespaces = mappingOf(planned.plan.facts.makes.tablespaces);
  await handOver({ dataDirectory, workDirectory, signal, tablespaces });
  await deps.failpoint('in place:handed over');
  report({ doing: 'starting the server' });
  await startServer(deps, { spec, planned }, signal);
}

export interface PutBackInput extends RecoveryCopyInput {
  /** Timeline of the copy, once the cluster's own service has it or was about to; null: it wasn't promoted. */
  readonly handedOver: number | null;
}

/** Stops whatever runs in the place, brings the old directories back and starts the server on them. */
export async function putBackInPlace(
  deps: Dependencies,
  { spec, planned, run, handedOver }: PutBackInput,
  { signal, report }: Working,
): Promise<void> {
  const { dataDirectory, workDirectory } = planned.places;
  report({ doing: 'bringing the old state back' });
  const asides = await asidesOf(whatGoesAside({ planned, run }));
  if (handedOver !== null && asides.some(({ directory }) => directory === dataDirectory))
    await assertStillOurs(deps, planned, handedOver, signal);
  await throwAway({ workDirectory, signal }).catch((error: unknown) => {
    // Handed over before: then it is no recovery's any more, and the service's own stop is what ends it.
    if (!(error instanceof HoldfastError)) throw error;
  });
  await stopServer({ spec, planned }, signal);
  await deps.failpoint('in place:put back');
  await putBack(asides, { handedOver: handedOver !== null, isGone: planned.workload !== undefined });
  await removeOwn({ planned });
  report({ doing: 'starting the server' });
  await startServer(deps, { spec, planned }, signal);
}

/** Another recovery may have taken the place since, and its state is not this run's to remove. PlanChanged. */
async function assertStillOurs(
  deps: Dependencies,
  { plan, places }: PlannedRecovery,
  handedOver: number,
  signal: AbortSignal,
): Promise<void> {
  const { systemIdentifier, versionNum } = plan.facts.source;
  const programs = await findServerPrograms(versionNum, deps.toolPlaces(await deps.config()));
  const found = await readControlData(programs, places.dataDirectory, deps.instances.runAs, signal);
  if (found.systemIdentifier === systemIdentifier && found.timeline === handedOver) return;
  throw new HoldfastError(
    'PlanChanged',
    `what lies in ${places.dataDirectory} is not what this run recovered: it is of system ${found.systemIdentifier}, timeline ${String(found.timeline)}`,
    'another recovery, or a failover, came after this one: see what is aside, and move it by hand if it is wanted',
  );
}

/** Removes for good what was put aside, and what the recovery itself needed. */
export async function releaseInPlace(deps: Dependencies, input: RecoveryCopyInput): Promise<void> {
  await deps.failpoint('in place:release');
  await releaseAside(await asidesOf(whatGoesAside(input)));
  await removeOwn(input);
}

/** Journal, log and socket: nothing of the cluster's. */
async function removeOwn({ planned: { places } }: Pick<RecoveryCopyInput, 'planned'>): Promise<void> {
  for (const directory of [places.workDirectory, places.runDirectory])
    await rm(directory, { recursive: true, force: true });
}

function instanceOf({ instance, argument }: RecoverSpec): InstanceConfig {
  if (instance !== null) return instance;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `nothing says how the server of cluster ${argument.cluster} is stopped and started`,
    `add instance: { dataDirectory, stop, start } to clusters.${argument.cluster}`,
  );
}

type Managed = Pick<RecoveryCopyInput, 'spec' | 'planned'>;

/** A StatefulSet's server is none of this machine: its pods are gone when somebody works on its volume. */
async function stopServer({ spec, planned }: Managed, signal: AbortSignal): Promise<void> {
  if (planned.workload !== undefined) return;
  const { stop } = instanceOf(spec);
  const { dataDirectory } = planned.places;
  if ((await instanceState(dataDirectory)).pid === undefined) return;
  await runServiceCommand(stop, signal);
  const deadline = performance.now() + stopMs;
  while ((await instanceState(dataDirectory)).pid !== undefined) {
    if (performance.now() > deadline)
      throw new HoldfastError(
        'RestoreFailed',
        `the server on ${dataDirectory} still runs after ${stop.join(' ')}`,
        'see why it does not stop; nothing was changed',
      );
    await sleep(pauseMs, undefined, { signal });
  }
}

async function startServer(deps: Dependencies, { spec, planned }: Managed, signal: AbortSignal): Promise<void> {
  if (planned.workload !== undefined) return;
  const { start, dataDirectory } = instanceOf(spec);
  if ((await instanceState(dataDirectory)).pid === undefined) await runServiceCommand(start, signal);
  await untilItAnswers(await serverOf(deps, spec.source), signal);
}
