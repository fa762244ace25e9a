import { formatBytes } from './format.ts';
import type { Obstacle } from './plan.ts';
import { meet } from './recover-argument.ts';
import type { RecoveryEstimates } from './recovery-estimates.ts';
import type { RecoveryChoice } from './recovery-pick.ts';
import { describeWorkload } from './workload.ts';
import { collationKey, type Place, type RecoveryFacts, type RecoveryPlanFacts } from './recovery-facts.ts';

/** What stands in the way of a recovery on this machine: hopeless before anything is touched, or good to know. */
export function recoveryObstacles(
  facts: RecoveryPlanFacts,
  choice: RecoveryChoice,
  planned: RecoveryFacts,
  estimates: RecoveryEstimates,
): Obstacle[] {
  return [
    ...versionObstacles(facts, choice),
    ...placeObstacles(facts, planned),
    ...tablespaceObstacles(facts, planned),
    ...spaceObstacles(estimates, facts.workload),
    ...workloadObstacles(facts, planned),
    ...collationObstacles(facts, choice),
    ...liveObstacles(facts, planned),
    ...choice.notes.map((what) => note(what)),
    ...choice.base.manifest.warnings.slice(0, 10).map((what) => note(what)),
  ];
}

const hopeless = (what: string, cure: string): Obstacle => ({ weight: 'hopeless', what, cure });
const note = (what: string, cure = ''): Obstacle => ({ weight: 'note', what, cure });

function versionObstacles({ majors }: RecoveryPlanFacts, { base }: RecoveryChoice): Obstacle[] {
  const major = Math.floor(base.manifest.server.versionNum / 10_000);
  if (majors.includes(major)) return [];
  const there = majors.length === 0 ? 'no server programs' : `those of ${majors.map(String).join(', ')} only`;
  return [
    hopeless(
      `the backup needs the server programs of PostgreSQL ${String(major)}, its own major version, and this worker has ${there}`,
      `install the package postgresql-${String(major)} on the worker, or name its directory in tools`,
    ),
  ];
}

function placeObstacles({ argument, place, port }: RecoveryPlanFacts, { kind }: RecoveryFacts): Obstacle[] {
  const found: Obstacle[] = [];
  if (kind === 'beside') {
    found.push(...notEmpty('directory', place, 'give another one as beside.directory, or empty it'));
    if (!port.free) found.push(hopeless(`port ${String(port.number)} is taken`, 'give a free one as beside.port'));
  }
  const wanted = argument.beside?.directory;
  if (kind === 'beside' && wanted !== undefined && wanted !== place.directory)
    found.push(note(`the copy goes to ${place.directory}`));
  return found;
}

function notEmpty(what: string, { directory, state }: Place, cure: string): Obstacle[] {
  if (state === 'occupied') return [hopeless(`${what} ${directory} is not empty`, cure)];
  return state === 'unknown' ? [note(`${what} ${directory} can't be looked into from here`)] : [];
}

/** A backup's tablespaces lead to the live server's directories: each is given a new place, or nothing is done. */
function tablespaceObstacles(
  { argument, tablespaces, live, place }: RecoveryPlanFacts,
  { makes, kind }: RecoveryFacts,
): Obstacle[] {
  const found: Obstacle[] = [];
  const unmapped = makes.tablespaces.filter(({ to }) => to === null);
  if (unmapped.length > 0)
    found.push(
      hopeless(
        `${unmapped.map(({ name, from }) => `tablespace '${name}' (${from})`).join(', ')} ${unmapped.length === 1 ? 'has' : 'have'} no new directory: a copy that shares it with the live server would destroy its files`,
        `give one for each: "tablespaces":${JSON.stringify(Object.fromEntries(unmapped.map(({ name }) => [name, '/a/new/directory'])))}`,
      ),
    );
  for (const name of Object.keys(argument.tablespaces))
    if (!makes.tablespaces.some((tablespace) => tablespace.name === name))
      found.push(
        hopeless(
          `the backup has no tablespace '${name}'`,
          makes.tablespaces.length === 0
            ? 'leave tablespaces out'
            : `it has ${makes.tablespaces.map((one) => `'${one.name}'`).join(', ')}`,
        ),
      );
  const taken = kind === 'inPlace' ? [] : liveDirectories(live, makes.tablespaces);
  const targets = makes.tablespaces.flatMap(({ name, to }) =>
    to === null ? [] : [{ what: `tablespace '${name}'`, to }],
  );
  for (const { what, to } of [{ what: 'the copy', to: makes.directory }, ...targets]) {
    const lies = taken.find(({ directory }) => meet(directory, to));
    if (lies !== undefined)
      found.push(hopeless(`${what} would go to ${to}, where ${lies.what} lies`, 'give a directory apart from it'));
  }
  for (const { what, to } of targets)
    if (meet(to, place.directory))
      found.push(
        hopeless(
          `${what} would go to ${to}, which meets the data directory ${place.directory}`,
          'give a directory apart from it',
        ),
      );
  for (const [name, own] of Object.entries(tablespaces))
    found.push(...notEmpty(`tablespace '${name}': directory`, own, 'give another one, or empty it'));
  return found;
}

function liveDirectories(live: RecoveryPlanFacts['live'], backedUp: RecoveryFacts['makes']['tablespaces']) {
  const own = backedUp.map(({ name, from }) => ({ what: `the source's tablespace '${name}'`, directory: from }));
  if (live === null) return own;
  return [
    { what: "the live server's data directory", directory: live.dataDirectory },
    ...live.tablespaces.map(({ name, location }) => ({
      what: `the live server's tablespace '${name}'`,
      directory: location,
    })),
    ...own,
  ];
}

function spaceObstacles({ space }: RecoveryEstimates, workload: RecoveryPlanFacts['workload']): Obstacle[] {
  return space.flatMap(({ what, directory, needBytes, freeBytes }) => {
    if (freeBytes === null) return [note(`free space for ${what} in ${directory} can't be told from here`)];
    return needBytes <= freeBytes
      ? []
      : [
          hopeless(
            `${what} needs about ${formatBytes(needBytes)} in ${directory}, where ${formatBytes(freeBytes)} are free`,
            workload === undefined
              ? 'make room, or give a directory on another disk'
              : `let claim ${workload.namespace}/${workload.claim} grow: the old data stays on it, beside the recovered, until it is released; or recover beside, on a worker's disk`,
          ),
        ];
  });
}

/** What a recovery on a StatefulSet's only volume can't do, and what its owner should know. */
function workloadObstacles({ workload }: RecoveryPlanFacts, { makes }: RecoveryFacts): Obstacle[] {
  if (workload === undefined) return [];
  const { volume, dataDirectory, mountPath, leftBy } = workload;
  const what = describeWorkload(workload);
  const found: Obstacle[] = [];
  if (makes.tablespaces.length > 0)
    found.push(
      hopeless(
        `${makes.tablespaces.length === 1 ? 'tablespace' : 'tablespaces'} ${makes.tablespaces.map(({ name }) => `'${name}'`).join(', ')} of ${what} can't be recovered in place: one volume is worked on only`,
        'recover beside it instead',
      ),
    );
  if (volume.walElsewhere === true)
    found.push(hopeless(`pg_wal of ${what} lies on another volume`, 'recover beside it instead'));
  if (volume.owner?.uid === 0)
    found.push(hopeless(`${dataDirectory} of ${what} belongs to root`, 'give it to the user that the server runs as'));
  if (volume.owner === null)
    found.push(
      hopeless(
        `${dataDirectory} of ${what} is not there, or can't be looked at`,
        'correct dataDirectory: in its inPlace:',
      ),
    );
  if (volume.mayMakeBeside === false)
    found.push(
      hopeless(
        `user ${String(volume.owner?.uid)}, whose ${dataDirectory} is, can make no directory beside it on the volume`,
        `let that user write to ${mountPath}, or give the pods of ${what} an fsGroup`,
      ),
    );
  if (dataDirectory === mountPath)
    found.push(
      note(
        `the data directory is the volume's own top: the old data waits in a hidden directory inside it, and base backups hold it too until it is released`,
      ),
    );
  if (leftBy !== null)
    found.push(
      note(
        `${what} was left at 0 pods by ${leftBy}, which did not end in order: what that run had put aside is left as it is`,
        `look on the volume for ${dataDirectory}.holdfast-aside-…`,
      ),
    );
  return found;
}

/**
 * Another version of a collation may sort otherwise, and an index that was built with the old one then doesn't find
 * what it holds. That is no reason to refuse: the data is whole, can be looked at, and the cure is known.
 */
function collationObstacles({ collationVersions }: RecoveryPlanFacts, { base }: RecoveryChoice): Obstacle[] {
  const differing = base.manifest.databases.flatMap((database) => {
    const here = collationVersions[collationKey(database)] ?? null;
    const { collationVersion: there } = database;
    return there === null || here === null || here === there
      ? []
      : [{ text: `'${database.name}' (${database.collate}: ${there} there, ${here} here)`, name: database.name }];
  });
  if (differing.length === 0) return [];
  return [
    note(
      `collations sort by another version here than where the backup was taken: ${differing.map(({ text }) => text).join(', ')}; indexes over text may miss rows until they are built anew`,
      'after promotion, in each of these databases: REINDEX DATABASE, then ALTER DATABASE … REFRESH COLLATION VERSION',
    ),
  ];
}

function liveObstacles({ live, argument }: RecoveryPlanFacts, { source, replaces }: RecoveryFacts): Obstacle[] {
  const found: Obstacle[] = [];
  if (live === null)
    found.push(
      note(
        argument.inPlace === true
          ? `the server of cluster ${source.cluster} doesn't answer: it is taken for down, and what it holds beyond the archive is put aside with its directory`
          : `the server of cluster ${source.cluster} doesn't answer: nothing was compared with it`,
      ),
    );
  else if (live.systemIdentifier !== source.systemIdentifier)
    found.push(
      note(
        `the server of cluster ${source.cluster} is another one today (system ${live.systemIdentifier}) than the backup's (${source.systemIdentifier}): the cluster was made anew since`,
        replaces === null ? '' : 'look twice before you approve: what runs now is put aside',
      ),
    );
  return found;
}
