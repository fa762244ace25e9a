import { code, formatBytes, formatCount, formatSeconds, formatVersion, oneLine } from './format.ts';
import { shortDigest } from './plan.ts';
import { recoveryDigest, type RecoveryPlan } from './recovery-plan.ts';
import { describeTarget, type RecoveryTarget } from './recovery-target.ts';
import { obstacleLines } from './render-plan.ts';
import { describeWorkload } from './workload.ts';

/** A recovery's plan as Markdown, for the Temporal UI's current details and for a terminal. */
export function renderRecoveryPlan(plan: RecoveryPlan): string {
  const { facts, estimates } = plan;
  const lines = [
    `### Plan ${shortDigest(recoveryDigest(plan))}: recover ${code(facts.source.cluster)} ${facts.kind === 'inPlace' ? 'in place' : 'beside'}, ${targetPhrase(facts.target)}`,
    '',
    ...reads(plan).map((line) => `- ${line}`),
    `- **makes** ${code(facts.makes.directory)}, port ${String(facts.makes.port)}, PostgreSQL ${formatVersion(facts.source.versionNum)}${facts.target.kind === 'latest' ? ', a standby that waits' : ', paused at the target'}`,
    ...facts.makes.tablespaces.map(
      ({ name, from, to }) =>
        `- **puts tablespace** ${code(name)} ${to === null ? 'nowhere yet' : `into ${code(to)}`} (${to === from ? 'where it was' : `it was ${code(from)}`})`,
    ),
    ...replaces(plan).map((line) => `- ${line}`),
    ...estimates.space.map(
      ({ what, needBytes, freeBytes }) =>
        `- **needs** about ${formatBytes(needBytes)} for ${oneLine(what)}, ${freeBytes === null ? 'free space unknown' : `${formatBytes(freeBytes)} free`}`,
    ),
    `- **takes** ${estimates.expectedSeconds === null ? 'an unknown time' : `about ${formatSeconds(estimates.expectedSeconds)}`}`,
    ...dropped(plan),
    '',
    '### Steps',
    '',
    ...plan.steps.map((step, index) => `${String(index + 1)}. ${oneLine(step)}`),
    ...obstacleLines(plan.obstacles),
  ];
  return lines.join('\n');
}

const targetPhrase = (target: RecoveryTarget) =>
  `to ${target.kind === 'name' ? `the restore point ${code(target.name)}, on timeline ${String(target.timeline)}` : describeTarget(target)}`;

function reads({ facts, estimates }: RecoveryPlan): string[] {
  const base = facts.chain.at(-1);
  const [full, ...increments] = facts.chain;
  const chain =
    increments.length === 0
      ? ''
      : `, on top of ${code(full?.id ?? '')}${increments.length > 1 ? ` and ${formatCount(increments.length - 1, 'increment')} between` : ''}`;
  const runs = estimates.walRuns.map(({ first, last }) => (first === last ? first : `${first} to ${last}`));
  return [
    `**from** base backup ${code(base?.id ?? '')}${chain}, in repository ${code(facts.source.repository)}: data of ${base?.finishedAt ?? ''} (${formatSeconds(estimates.baseAgeSeconds)} old), ${formatBytes(estimates.baseBytes)} stored`,
    estimates.walSegments === 0
      ? '**and** no WAL: the backup holds its own'
      : `**and** ${formatCount(estimates.walSegments, 'segment')} of WAL, ${formatBytes(estimates.walBytes)} unpacked: ${runs.join(', ')}`,
    `**along** ${facts.path.map(({ timeline, to }) => `timeline ${String(timeline)}${to === null ? '' : ` up to ${to}`}`).join(', ')}; consistent from ${facts.consistentLsn} on; archived without a hole up to ${estimates.archivedLsn}${estimates.archivedTime === null ? '' : `, ${estimates.archivedTime}`}`,
  ];
}

function replaces({ facts, estimates }: RecoveryPlan): string[] {
  if (facts.replaces === null) return ['**changes** nothing of the live server'];
  const { address, directory, systemIdentifier, timeline } = facts.replaces;
  const server =
    systemIdentifier === null
      ? 'the server, which doesn’t answer'
      : `the server at ${code(address)} (system ${systemIdentifier}, timeline ${String(timeline)})`;
  const lost = [
    ...(estimates.lostSeconds === null ? [] : [`the last ${formatSeconds(estimates.lostSeconds)}`]),
    ...(estimates.lostBytes === null ? [] : [`${formatBytes(estimates.lostBytes)} of WAL`]),
  ];
  const { workload } = facts;
  const scaled = workload === undefined ? '' : `, by scaling ${describeWorkload(workload)} to 0`;
  return [
    `**stops** ${server}${scaled}; clients are refused until the copy is promoted`,
    ...(workload === undefined
      ? []
      : [
          `**works** on claim ${code(workload.claim)}, by a pod of its own${workload.user === null ? '' : ` as user ${String(workload.user.uid)}`}`,
        ]),
    `**puts aside** ${code(directory)} and its tablespaces, until they are released`,
    `**loses** for its users what was written after the target: ${lost.length === 0 ? 'how much can’t be told' : lost.join(', ')}`,
  ];
}

const shownSettings = 12;

function dropped({ facts }: RecoveryPlan): string[] {
  if (facts.dropped.length === 0) return [];
  const shown = facts.dropped.slice(0, shownSettings).map(({ name }) => code(name));
  const more = facts.dropped.length - shown.length;
  return [
    `- **starts without** the source's ${shown.join(', ')}${more > 0 ? ` and ${String(more)} more` : ''}: a copy never archives, replicates or runs jobs`,
  ];
}
