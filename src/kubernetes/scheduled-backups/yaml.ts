import { comment, commentedOut, indented, where, written } from '../discovery/yaml.ts';
import type { Import, Imported } from './imported.ts';

/**
 * Clusters and policies to paste into a holdfast.yaml, with comments that say what they come from and what isn't
 * carried over. Without a configuration it is a whole one. The same findings make the same text.
 * @param into the configuration that was read, if there is one
 */
export function importYaml(
  { imported, clusters, policies }: Import,
  { namespaces, into }: { readonly namespaces: readonly string[]; readonly into: string | undefined },
): string {
  const refused = imported.flatMap((one) => (one.outcome.kind === 'refused' ? [refusal(one, one.outcome)] : []));
  const known = imported.flatMap((one) =>
    one.outcome.kind === 'known' ? [`- ${titleOf(one)}: policy ${one.outcome.policy}.`] : [],
  );
  const isNew = Object.keys(policies).length > 0;
  const parts = [
    [
      comment(`What 'holdfast import scheduledbackups' found in ${where(namespaces)}.`),
      ...(imported.length === 0 ? [comment('No ScheduledBackup.')] : []),
      ...(isNew ? howToGoOn(into) : []),
    ],
    ...(isNew && into === undefined
      ? [
          [
            comment('Names these workers, their schedules and their backups: choose once, and keep it.'),
            written({ installation: 'holdfast' }),
          ],
        ]
      : []),
    ...(Object.keys(clusters).length === 0 ? [] : [[`clusters:`, indented(written(clusters))]]),
    ...(isNew ? [['policies:', imported.flatMap(policyText).join('\n\n')]] : []),
    ...(refused.length === 0 ? [] : [[comment('Not imported:'), ...refused]]),
    ...(known.length === 0 ? [] : [[comment('In the configuration already:'), ...known.map(comment)]]),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

const howToGoOn = (into: string | undefined) => [
  comment(
    into === undefined
      ? 'Then: holdfast config check; holdfast apply; holdfast import scheduledbackups --suspend'
      : `Put it below the members of the same names of ${into}. Then: holdfast config check; holdfast apply; holdfast import scheduledbackups --suspend`,
  ),
];

const titleOf = ({ namespace, name, schedule, cluster }: Imported) =>
  `ScheduledBackup ${namespace}/${name} of Cluster ${cluster}, "${schedule}"`;

function policyText(one: Imported): string[] {
  const { outcome, notes, fiveFields, suspended } = one;
  if (outcome.kind !== 'policy') return [];
  const wouldBe =
    suspended && 'cron' in fiveFields
      ? [
          indented(
            commentedOut(
              written({
                schedule: fiveFields.cron,
                ...(fiveFields.timezone === undefined ? {} : { timezone: fiveFields.timezone }),
              }),
            ),
          ),
        ]
      : [];
  const lines = [
    ...[`${titleOf(one)}.`, ...notes].map(comment),
    written({ [outcome.policy]: outcome.section }),
    ...wouldBe,
  ];
  return [indented(lines.join('\n'))];
}

const refusal = (one: Imported, { why, cure }: { readonly why: string; readonly cure: string }) =>
  comment(`- ${titleOf(one)}: ${why}; ${cure}.`);
