import { nameOf } from './cnpg-recovery-choice.ts';
import type { CnpgRecoveryPlan } from './cnpg-recovery-facts.ts';
import { cnpgRecoveryDigest } from './cnpg-recovery-plan.ts';
import { textAt } from './cnpg-definition.ts';
import { code, formatBytes, formatCount, formatSeconds, oneLine } from './format.ts';
import { shortDigest } from './plan.ts';
import { describeTarget } from './recovery-target.ts';
import { obstacleLines } from './render-plan.ts';

/** The plan of a recovery by CloudNativePG as Markdown, for the Temporal UI's current details and for a terminal. */
export function renderCnpgRecoveryPlan(plan: CnpgRecoveryPlan): string {
  const { facts, estimates } = plan;
  const { source, makes, base, store, target } = facts;
  const lines = [
    `### Plan ${shortDigest(cnpgRecoveryDigest(plan))}: recover ${code(source.cluster)} into a new Cluster, to ${target.kind === 'name' ? `the restore point ${code(target.name)}` : describeTarget(target)}`,
    '',
    `- **from** base backup ${code(nameOf(base))}${base.snapshot ? ', a volume snapshot' : ''}, data of ${base.finishedAt} (${formatSeconds(estimates.baseAgeSeconds)} old)${estimates.dataBytes === null ? '' : `, ${formatBytes(estimates.dataBytes)} or more`}`,
    ...(store === null
      ? []
      : [
          `- **in** ${code(store.place)}${store.objectStore === null ? '' : `, by ObjectStore ${code(store.objectStore)}`}; WAL from ${base.beginWal} on${estimates.walSegments === null ? '' : `: ${formatCount(estimates.walSegments, 'segment')}`}`,
        ]),
    `- **possible**: ${estimates.range}`,
    `- **makes** Cluster ${code(makes.name)} in namespace ${code(makes.namespace)}: ${image(plan)}, ${storage(plan)}`,
    `- **changes** nothing of ${source.uid === null ? `Cluster ${code(source.name)}, which is not there: what it was is taken from the configuration` : `Cluster ${code(source.name)}`}`,
    ...(facts.leftOut.length === 0
      ? []
      : [
          `- **leaves out** of its source: ${facts.leftOut.map((member) => code(member)).join(', ')}; ScheduledBackups and Poolers, too`,
        ]),
    '',
    '### Steps',
    '',
    ...plan.steps.map((step, index) => `${String(index + 1)}. ${oneLine(step)}`),
    ...obstacleLines(plan.obstacles),
  ];
  return lines.join('\n');
}

function image({ facts }: CnpgRecoveryPlan): string {
  const { object } = facts.makes;
  const named = textAt(object, 'spec', 'imageName');
  if (named !== null) return `image ${code(named)}`;
  const catalog = textAt(object, 'spec', 'imageCatalogRef', 'name');
  return catalog === null ? "the operator's own image" : `the image of catalog ${code(catalog)}`;
}

function storage({ facts }: CnpgRecoveryPlan): string {
  const { object } = facts.makes;
  const [size, storageClass] = [
    textAt(object, 'spec', 'storage', 'size'),
    textAt(object, 'spec', 'storage', 'storageClass'),
  ];
  const wal = textAt(object, 'spec', 'walStorage', 'size');
  return [
    size === null ? 'a volume as its template says' : `a volume of ${size}`,
    storageClass === null ? ' of the default storage class' : ` of storage class ${code(storageClass)}`,
    wal === null ? '' : `, one of ${wal} for WAL`,
  ].join('');
}
