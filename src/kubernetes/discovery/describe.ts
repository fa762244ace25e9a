import type { ClusterFound, ProxyFound, ScheduledBackupFound, StoreFound, WorkloadFound } from './found.ts';
import { wayToPrimary, type ServiceFound } from './services.ts';

/** What was seen, in sentences for the comments above a section. */

export const kindInWords = {
  cnpg: 'CloudNativePG Cluster',
  statefulset: 'StatefulSet',
  deployment: 'Deployment',
  pod: 'pod',
} as const;

export function describeCluster(found: ClusterFound): string[] {
  const { namespace, name, instances, storage, phase, primary, replica, superuserSecret, backups } = found;
  return [
    `${kindInWords.cnpg} ${namespace}/${name}: ${postgresIn(found)}, ${counted(instances, 'instance')}${storage === undefined ? '' : ` with ${storage}${instances === 1 ? '' : ' each'}`}.`,
    `${phase ?? 'No phase yet'}, ${primary === undefined ? 'no primary' : `primary ${primary}`}${replica ? '; a replica of another cluster, read-only' : ''}.`,
    superuserSecret === undefined
      ? 'Lets no superuser in, whom a logical backup needs: set spec.enableSuperuserAccess: true in the Cluster, or name a Secret in superuserSecret; then add a policy.'
      : `Superuser: Secret ${superuserSecret}.`,
    ...backups.stores.map(describeStore),
    ...(backups.volumeSnapshots === undefined
      ? []
      : [`Volume snapshots: class ${backups.volumeSnapshots === '' ? 'of the default' : backups.volumeSnapshots}.`]),
    ...found.scheduledBackups.map(describeSchedule),
    ...found.poolers.map(
      (pooler) => `Pooler ${pooler.name} (${pooler.type}): not a source, a backup goes to PostgreSQL itself.`,
    ),
  ];
}

function describeStore({ by, objectStore, destination, endpoint, retention }: StoreFound): string {
  const of = objectStore === undefined ? '' : ` (ObjectStore ${objectStore})`;
  const place =
    destination === undefined
      ? 'to a place that could not be read'
      : `to ${destination}${endpoint === undefined ? '' : ` at ${endpoint}`}`;
  return `Backed up by ${by}${of} ${place}, ${retention === undefined ? 'no retention policy' : `retention ${retention}`}.`;
}

function describeSchedule({ name, schedule, fiveFields, method, suspended }: ScheduledBackupFound): string {
  const five = fiveFields === undefined ? 'which five fields cannot say' : `in five fields "${fiveFields}"`;
  return `ScheduledBackup ${name}: "${schedule}", ${five}; method ${method}${suspended ? '; suspended' : ''}.`;
}

export function describeWorkload(found: WorkloadFound): string[] {
  const { kind, namespace, name, replicas, uid, dataDirectory, volumes, superuser, electedBy, madeBy } = found;
  const who = uid === undefined ? '' : `, uid ${String(uid)}`;
  const where = dataDirectory === undefined ? '' : `, data in ${dataDirectory}`;
  return [
    `${sentenceCase(kindInWords[kind])} ${namespace}/${name}: ${postgresIn(found)}${kind === 'pod' ? '' : `, ${counted(replicas, 'pod')}`}${who}${where}.`,
    ...(found.recognisedBy === 'port' ? ['Recognised by port 5432 alone: see whether it is PostgreSQL.'] : []),
    ...(madeBy === undefined ? [] : [`Made by ${madeBy}: its operator takes back what others change.`]),
    ...(volumes.length === 0
      ? []
      : [
          `Volumes: ${volumes.map(({ claim, size }) => `${claim}${size === undefined ? '' : ` ${size}`}`).join(', ')}.`,
        ]),
    ...('missing' in superuser ? [] : [describeSuperuser(superuser)]),
    ...(electedBy === undefined ? [] : [`${electedBy} decides which of its pods is the primary.`]),
    ...describeServices(found),
    ...('missing' in superuser ? [] : superuser.doubts.map((doubt) => `Look at this: ${doubt}.`)),
  ];
}

function describeSuperuser({
  secret,
  passwordKey,
  userKey,
}: Exclude<WorkloadFound['superuser'], { readonly missing: string }>): string {
  const keys = userKey === undefined ? `key ${passwordKey}` : `keys ${userKey} and ${passwordKey}`;
  return `Superuser: Secret ${secret}, ${keys}.`;
}

function describeServices({ services, governingService, replicas, electedBy, superuser }: WorkloadFound): string[] {
  const chosen = wayToPrimary(services);
  const others = services.filter((service) => service !== chosen).map(inWords);
  if (chosen !== undefined) return [`Service ${[inWords(chosen), ...others].join('; also ')}.`];
  const seen = others.length === 0 ? '' : ` (but ${others.join(', ')})`;
  const orElse = !('missing' in superuser) ? 'unless the Secret names another host as POSTGRES_HOST, ' : '';
  if (governingService === undefined) return others.length === 0 ? [] : [`No Service leads to one pod alone${seen}.`];
  return [
    `No Service leads to ${replicas > 1 ? 'the primary alone' : 'it'}${seen}: ${orElse}its first pod is asked, by Service ${governingService.name}${governingService.seen ? '' : ', which was not seen'}.`,
    ...(replicas > 1
      ? [
          `See that its first pod is the primary, or name a Service that leads there${electedBy === 'repmgr' ? ', not to pgpool' : ''}.`,
        ]
      : []),
  ];
}

function inWords({ name, type, headless, port, leadsTo }: ServiceFound): string {
  const facts = [
    ...(headless ? ['headless'] : type === 'ClusterIP' ? [] : [type]),
    ...(port === 5432 ? [] : [`port ${String(port)}`]),
    ...(leadsTo === 'any' ? ['any pod'] : leadsTo === 'replicas' ? ['replicas'] : []),
  ];
  return facts.length === 0 ? name : `${name} (${facts.join(', ')})`;
}

export const describeProxy = ({ namespace, name, what, image }: ProxyFound): string =>
  `${namespace}/${name} is ${what}${image === undefined ? '' : ` (image ${image})`}: not a source; connect to the primary behind it.`;

function postgresIn({
  version,
  image,
}: {
  readonly version: string | undefined;
  readonly image: string | undefined;
}): string {
  const what = version === undefined ? 'PostgreSQL of a version that its image does not tell' : `PostgreSQL ${version}`;
  return image === undefined || image === '' ? what : `${what} (image ${image})`;
}

const counted = (count: number, what: string) => `${String(count)} ${what}${count === 1 ? '' : 's'}`;
const sentenceCase = (text: string) => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
