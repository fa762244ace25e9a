import { HoldfastError, messageOf } from '../domain/errors.ts';
import { formatBytes } from '../domain/format.ts';
import { usualDrillBytes, type DrillPodSpec } from '../domain/drill-place.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { readPattern, type PodPattern } from '../kubernetes/drill/pattern.ts';
import { drillPod, drillPodName } from '../kubernetes/drill/pod.ts';
import { describePod, removeDrillPod, serve, sweepDrillPods, type PodName } from '../kubernetes/drill/serve.ts';
import type { Server, Session } from '../postgres/connection.ts';
import { lacksLocale, localeMissing, type ScratchServer, type ServerWish } from '../postgres/drill/scratch-server.ts';
import { servedServer, socketsIn, tablespacesIn } from '../postgres/drill/served.ts';
import { newCredential } from '../postgres/drill/verifier.ts';
import type { Dependencies } from './dependencies.ts';
import { drillLogical } from './drill-logical.ts';
import { recordDrill, tried, type Drilled, type DrillInput } from './drill-steps.ts';
import { reach, watchPod, type Served, type Watch } from './drill-watch.ts';
import type { Working } from './working.ts';

const directory = '/drill';
const port = 5432;
/** A worker that was killed leaves the server alone: then it ends, whether or not another drill comes. */
const patienceSeconds = 300;
/** As long as the activity may take. */
const deadlineSeconds = 48 * 3600;
/** For the end of an activity that was cancelled, too: that has seconds. What stays is for the next drill. */
const takeAwayMs = 15_000;
/** Pods of an earlier attempt have to be gone: their volumes count in quotas. */
const sweepMs = 60_000;

/**
 * Drills a dump in a pod with the cluster's own image: made for this attempt, asked over the network, and deleted,
 * however it ends. A pod that is lost, or can't be made, is the drill's failure and says nothing of the backup.
 */
export async function drillInPod(
  deps: Dependencies,
  input: DrillInput,
  pod: DrillPodSpec,
  kubernetes: Kubernetes,
  work: Working,
): Promise<Drilled> {
  const { spec, run, attempt } = input;
  const startedAt = new Date();
  const { namespace } = pod;
  // No other attempt's: this one may be given up, and wake up beside the next.
  const own: PodName = { namespace, name: `${drillPodName}-${run.short}-${String(attempt)}` };
  work.report({ doing: 'tidying up after earlier drills' });
  const earlier = { namespace, installation: spec.installation, run: run.short };
  const left = await sweepDrillPods(kubernetes, earlier, sweepMs);
  const lost = new AbortController();
  const signal = AbortSignal.any([work.signal, lost.signal]);
  const toolVersions: Record<string, string> = { holdfast: deps.version };
  const drilling = { ...work, signal, toolVersions };
  let watch: Watch | undefined;
  let result: Omit<Drilled, 'leftBehind'>;
  try {
    await deps.failpoint('drill:begun');
    const makeServer = async (wish: ServerWish) => {
      const begun = await begin(input, pod, own, { kubernetes, wish }, drilling);
      watch = watchPod(kubernetes, begun, lost);
      return begun.scratch;
    };
    const nothing = () => Promise.resolve([]);
    const restored = await tried(signal, () => drillLogical(deps, input, drilling, { makeServer, fallen: nothing }));
    await deps.failpoint('drill:checked');
    signal.throwIfAborted();
    // What came of a server that is no more says nothing: the very session that was opened first has to answer still.
    await watch?.assertThere();
    result = await recordDrill(deps, input, { restored, startedAt, toolVersions }, signal);
  } catch (error) {
    // A session that broke may be the first to tell that the pod is gone.
    const loss = signal.aborted ? undefined : await watch?.assertThere().then(noLoss, (reason: unknown) => reason);
    await watch?.end();
    await takeAway(kubernetes, own);
    throw loss ?? error;
  }
  work.report({ doing: 'removing the copy' });
  await watch?.end();
  return { ...result, leftBehind: [...left, ...(await takeAway(kubernetes, own))] };
}

const noLoss = () => undefined;

async function takeAway(kubernetes: Kubernetes, pod: PodName): Promise<string[]> {
  try {
    return await removeDrillPod(kubernetes, pod, takeAwayMs);
  } catch (error) {
    return [`${describePod(pod)}: ${messageOf(error)}`];
  }
}

interface Begun extends Served {
  readonly scratch: ScratchServer;
}

type Making = Pick<Working, 'signal' | 'report'> & { readonly toolVersions: Record<string, string> };

async function begin(
  { spec, run }: DrillInput,
  pod: DrillPodSpec,
  own: PodName,
  { kubernetes, wish }: { readonly kubernetes: Kubernetes; readonly wish: ServerWish },
  { signal, report, toolVersions }: Making,
): Promise<Begun> {
  if ('server' in spec.source) throw new TypeError('a server has no pods');
  const bytes = roomFor(wish, pod);
  const pattern = await readPattern(kubernetes, spec.source, pod.image);
  toolVersions['image'] = pattern.image;
  const where = { where: `image ${pattern.image}`, cure: takeAnotherImage };
  const { password, verifier } = newCredential();
  const order = drillPod({
    ...own,
    isAtHome: pod.isAtHome,
    installation: spec.installation,
    policy: spec.policy,
    run: run.short,
    pattern,
    ...servedServer(wish, verifier, { directory, port, patienceSeconds }),
    ...{ directory, port, deadlineSeconds },
    socketDirectory: socketsIn(directory),
    storage: { bytes, storageClass: pod.storage.storageClass },
    resources: pod.resources,
  });
  const serving = await serve(kubernetes, order, {
    signal,
    onWait: (doing) => {
      report({ doing: `drill: ${doing}` });
    },
  }).catch((error: unknown) => {
    throw lacksLocale(messageOf(error)) ? localeMissing(wish.locale.collate, where, error) : error;
  });
  const server: Server = {
    ...{ host: serving.ip, port, user: wish.superuser, password },
    ...{ database: 'postgres', sslmode: 'disable' },
  };
  report({ doing: `drill: connecting to ${describePod(serving)}` });
  const session = await reach(kubernetes, serving, server, signal);
  try {
    toolVersions['postgres'] = await versionOf(session);
    assertNotOlder(session.versionNum, wish, pattern);
  } catch (error) {
    await session.close();
    throw error;
  }
  const scratch: ScratchServer = {
    ...where,
    server,
    versionNum: session.versionNum,
    disk: { name: describePod(serving), cure: largerVolume },
    tablespaces: tablespacesIn(directory),
    tablespaceDirectory: (index) => Promise.resolve(`${tablespacesIn(directory)}/${String(index + 1)}`),
  };
  return { pod: serving, scratch, session };
}

const takeAnotherImage =
  "name an image that has it in the cluster's configuration, drill: { image: … }, or drill on a worker that has it, drill: { on: worker }: nothing was learned of the backup";
const largerVolume = "give drills a larger volume in the cluster's configuration, drill: { storage: { size: … } }";

function roomFor({ bytes }: ServerWish, { storage }: DrillPodSpec): number {
  const given = storage.bytes ?? usualDrillBytes(bytes);
  if (given >= bytes) return given;
  throw new HoldfastError(
    'StoreFull',
    `a drill's volume has ${formatBytes(given)}, the backup's databases took ${formatBytes(bytes)}`,
    largerVolume,
  );
}

async function versionOf(session: Session): Promise<string> {
  const [row] = await session.query<{ readonly version: string }>(
    `SELECT split_part(current_setting('server_version'), ' ', 1) AS version`,
  );
  return row?.version ?? '';
}

/** Into a newer one it may well go: that is how a cluster would be restored whose image has gone on. */
function assertNotOlder(versionNum: number, wish: ServerWish, { image }: PodPattern): void {
  const [found, wanted] = [Math.floor(versionNum / 10_000), Math.floor(wish.versionNum / 10_000)];
  if (found >= wanted) return;
  throw new HoldfastError(
    'ToolTooOld',
    `image ${image} has PostgreSQL ${String(found)}, and the backup is of PostgreSQL ${String(wanted)}`,
    takeAnotherImage,
  );
}
