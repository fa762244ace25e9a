import { stringify } from 'yaml';
import type { Configured, Proposed } from './configuration.ts';
import { describeProxy } from './describe.ts';
import type { Section } from './propose.ts';

/** The configuration as a holdfast.yaml whose comments say what was seen. The same findings make the same text. */
export function yamlOf({ configuration, proposed, proxies }: Configured, namespaces: readonly string[]): string {
  const ready = proposed.filter(({ proposal }) => proposal.use === 'ready');
  const offered = proposed.filter(({ proposal }) => proposal.use === 'offered');
  const unused = [
    ...proposed.filter(({ proposal }) => proposal.use === 'none').map(({ proposal }) => proposal.lines.join(' ')),
    ...proxies.map(describeProxy),
  ];
  const nothing = ready.length + offered.length === 0;
  const parts = [
    [
      comment(`What 'holdfast discover' found in ${where(namespaces)}.`),
      ...(nothing ? [comment('No PostgreSQL that could be backed up as it is.')] : []),
    ],
    [
      comment('Names these workers, their schedules and their backups: choose once, and keep it.'),
      written({ installation: configuration.installation }),
    ],
    ...(nothing ? [] : [repositoriesPart(configuration.repositories, ready)]),
    clustersPart(ready, offered),
    ...(Object.keys(configuration.policies).length === 0
      ? []
      : [
          [
            'policies:',
            indented(comment('Everything of a cluster in one file, readable with zcat and psql, every night (UTC).')),
            ...Object.entries(configuration.policies).map(([name, policy]) => indented(written({ [name]: policy }))),
          ],
        ]),
    ...(unused.length === 0 ? [] : [[comment('Seen, and not used:'), ...unused.map((line) => comment(`- ${line}`))]]),
  ];
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

function clustersPart(ready: readonly Proposed[], offered: readonly Proposed[]): string[] {
  const entries = [
    ...ready.map(({ name, proposal }) => [...proposal.lines.map(comment), written({ [name]: proposal.section })]),
    ...offered.map(({ name, proposal }) => [
      ...proposal.lines.map(comment),
      ...(ready.length === 0 ? [comment('To use it, put it in the place of {}:')] : []),
      commentedOut(written({ [name]: proposal.section })),
    ]),
  ];
  const text = entries.map((lines) => indented(lines.join('\n'))).join('\n\n');
  return [ready.length === 0 ? 'clusters: {}' : 'clusters:', ...(text === '' ? [] : [text])];
}

function repositoriesPart(
  repositories: Configured['configuration']['repositories'],
  ready: readonly Proposed[],
): string[] {
  const bucket = bucketOf(ready);
  return [
    'repositories:',
    indented(
      comment('A directory that the worker has mounted, from NFS for instance. Once it is there, and only once:'),
    ),
    indented(comment('holdfast repositories init backup')),
    indented(written(repositories)),
    ...(bucket === undefined
      ? []
      : [
          indented(
            comment(`Or, in its place, the bucket that ${bucket.of} uses, below a prefix of its own, with Secret`),
          ),
          indented(comment(`${bucket.credentials.secret} mounted into the worker below HOLDFAST_SECRETS:`)),
          indented(commentedOut(written({ backup: { s3: bucket.s3 } }))),
        ]),
  ];
}

/** The first S3 store of a CloudNativePG cluster, for backups of ours beside its own. */
function bucketOf(ready: readonly Proposed[]) {
  for (const { found } of ready) {
    if (found.kind !== 'cnpg') continue;
    for (const { destination = '', endpoint, credentials } of found.backups.stores) {
      const [, bucket] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/|$)/.exec(destination) ?? [];
      if (bucket === undefined || credentials === undefined) continue;
      const prefix = 'holdfast';
      return {
        of: `${found.namespace}/${found.name}`,
        credentials,
        s3: { bucket, prefix, ...(endpoint === undefined ? {} : { endpoint }), credentials },
      };
    }
  }
  return undefined;
}

export function where(namespaces: readonly string[]): string {
  if (namespaces.length === 1) return `namespace ${namespaces[0] ?? ''}`;
  return namespaces.length <= 5 ? `namespaces ${namespaces.join(', ')}` : `${String(namespaces.length)} namespaces`;
}

export const written = (value: Readonly<Record<string, unknown>> | Readonly<Record<string, Section>>): string =>
  stringify(value, { lineWidth: 0, singleQuote: true }).trimEnd();

/** On one line whatever the text holds: what stands in an object must never become a part of the configuration. */
export const comment = (text: string): string => `# ${text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')}`;

export const commentedOut = (text: string): string =>
  text
    .split('\n')
    .map((line) => `# ${line}`)
    .join('\n');

export const indented = (text: string): string =>
  text
    .split('\n')
    .map((line) => (line === '' ? line : `  ${line}`))
    .join('\n');
