import { backupIdSchema, joinKey, manifestSuffix, plainIdSchema, tombstoneSuffix } from './ids.ts';
import type { DumpSurvey, SurveyedDatabase } from './dump-survey.ts';
import { describeDumpFinding } from './dump-survey.ts';
import type { DatabaseRecord, Manifest, Origin, Part, StoredObject } from './manifest.ts';
import type { AdoptSpec } from './specs.ts';
import type { DatabaseProperties } from './swap-report.ts';

/** Dumps that something else left where a policy looks for them, and what becomes of them when they are read. */
export interface ForeignDump {
  /** What it is called: its name without its ending. */
  readonly id: string;
  /** A file, or the toc.dat of pg_dump's directory format. */
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

export interface ListedFile {
  readonly key: string;
  readonly bytes: number;
  readonly modifiedAt: Date;
}

/**
 * The dumps in a listing of a policy's directory, newest first: what its pattern matches and no manifest speaks for.
 * Two that would have the same id are told apart by their whole names.
 * @param known keys that are in the catalog, or belong to it
 */
export function foreignDumps(
  files: readonly ListedFile[],
  known: ReadonlySet<string>,
  { path, pattern }: Pick<AdoptSpec, 'path' | 'pattern'>,
): ForeignDump[] {
  const matches = new RegExp(`^${pattern.replace(/[.]/g, '\\.').replaceAll('*', '.*').replaceAll('?', '.')}$`);
  const named = files.flatMap((file) => {
    const name = dumpName(file.key, path);
    const own =
      name === undefined || known.has(file.key) || name.endsWith(manifestSuffix) || name.endsWith(tombstoneSuffix);
    return own || !matches.test(name) || !plainIdSchema.safeParse(name).success ? [] : [{ ...file, name }];
  });
  const sizes = directorySizes(files);
  const uses = new Map<string, number>();
  for (const { name } of named) uses.set(withoutEnding(name), (uses.get(withoutEnding(name)) ?? 0) + 1);
  return named
    .map(({ name, key, bytes, modifiedAt }) => ({
      id: uses.get(withoutEnding(name)) === 1 ? withoutEnding(name) : name,
      key,
      bytes: key.endsWith(tocSuffix) ? (sizes.get(folderOf(key)) ?? bytes) : bytes,
      modifiedAt,
    }))
    .sort((a, b) => b.modifiedAt.getTime() - a.modifiedAt.getTime() || (a.key < b.key ? -1 : 1));
}

const tocSuffix = '/toc.dat';
const folderOf = (key: string) => key.slice(0, key.lastIndexOf('/'));

/** Of a file in the directory itself, or of a directory in it that holds a toc.dat. */
function dumpName(key: string, path: string): string | undefined {
  const inside = path === '' ? key : key.startsWith(`${path}/`) ? key.slice(path.length + 1) : undefined;
  const name = inside?.endsWith(tocSuffix) === true ? inside.slice(0, -tocSuffix.length) : inside;
  return name === undefined || name === '' || name.includes('/') ? undefined : name;
}

function directorySizes(files: readonly ListedFile[]): ReadonlyMap<string, number> {
  const sizes = new Map<string, number>();
  for (const { key, bytes } of files) sizes.set(folderOf(key), (sizes.get(folderOf(key)) ?? 0) + bytes);
  return sizes;
}

const endings = /(\.(sql|dump|dmp|pgdump|backup|bak|custom|tar))?(\.(gz|zst))?$/;
const withoutEnding = (name: string) => {
  const stem = name.replace(endings, '');
  return stem === '' ? name : stem;
};

/** Every file of a dump, among the keys of a listing. */
export function filesOf({ key }: ForeignDump, keys: readonly string[]): string[] {
  return key.endsWith(tocSuffix) ? keys.filter((other) => other.startsWith(`${folderOf(key)}/`)) : [key];
}

/** As a person may type it: an id, or the file's whole name. */
export function findForeign(dumps: readonly ForeignDump[], asked: string): ForeignDump | undefined {
  const id = backupIdSchema.safeParse(asked).data ?? asked;
  return (
    dumps.find((dump) => dump.id === asked || dump.key.slice(dump.key.lastIndexOf('/') + 1) === asked) ??
    dumps.find((dump) => dump.id === id)
  );
}

export interface ReadDump {
  readonly dump: ForeignDump;
  readonly survey: DumpSurvey;
  /** The files that it is made of, with their digests. */
  readonly objects: readonly StoredObject[];
  readonly compression: 'gzip' | 'zstd' | 'none';
}

export interface ForeignIdentity {
  readonly installation: string;
  readonly cluster: string;
  readonly policy: string;
  readonly run: Manifest['run'];
  readonly holdfastVersion: string;
  readonly origin: Pick<Origin, 'kind' | 'by' | 'reason' | 'at' | 'allow'>;
}

/** The manifest of a dump that was read whole: what a backup of ours would say, as far as the dump tells. */
export function foreignManifest({ dump, survey, objects, compression }: ReadDump, identity: ForeignIdentity): Manifest {
  const { origin } = identity;
  const takenAt = takenAtOf(dump).toISOString();
  const dumpVersion = survey.dumpVersion ?? survey.serverVersion;
  return {
    version: 1,
    id: dump.id,
    installation: identity.installation,
    cluster: identity.cluster,
    policy: identity.policy,
    method: survey.of === 'cluster' ? 'pg_dumpall' : 'pg_dump',
    origin: {
      ...origin,
      modifiedAt: dump.modifiedAt.toISOString(),
      findings: survey.findings.map(describeDumpFinding),
    },
    status: 'complete',
    startedAt: takenAt,
    finishedAt: takenAt,
    run: identity.run,
    server: {
      version: survey.serverVersion ?? 'unknown',
      versionNum: versionNumOf(survey.serverVersion),
      systemIdentifier: '',
      timeline: 0,
      inRecovery: false,
      bootstrapRole: survey.bootstrapRole,
    },
    tools: { holdfast: identity.holdfastVersion, ...(dumpVersion === null ? {} : { pg_dump: dumpVersion }) },
    objects: [...objects],
    parts: partsOf(dump, survey, objects, compression),
    databases: survey.databases.map(recordOf),
    roles: [...survey.roles],
    tablespaces: [...survey.tablespaces],
    warnings: [...survey.notes],
    signature: null,
  };
}

/**
 * When its data was read. What cron jobs of this field write into the name is nearer to that than the time at which the
 * file was finished, or copied.
 */
function takenAtOf({ id, modifiedAt }: ForeignDump): Date {
  const found = /(\d{4})(\d\d)(\d\d)-(\d\d)(\d\d)(\d\d)(?!\d)/.exec(id);
  if (found === null) return modifiedAt;
  const [, year, month, day, hour, minute, second] = found.map(Number);
  const at = new Date(Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second));
  const isThatDay = at.getUTCMonth() + 1 === month && at.getUTCDate() === day;
  return isThatDay && at <= modifiedAt ? at : modifiedAt;
}

/** "15.18" is 150018, "9.6.24" is 90624, as server_version_num has it. */
function versionNumOf(version: string | null): number {
  const [major = 0, minor = 0, patch = 0] = (version ?? '').split('.').map((part) => Number.parseInt(part, 10) || 0);
  return major >= 10 ? major * 10_000 + minor : major * 10_000 + minor * 100 + patch;
}

function partsOf(
  { key }: ForeignDump,
  survey: DumpSurvey,
  objects: readonly StoredObject[],
  compression: ReadDump['compression'],
): Part[] {
  const object = objects.find((one) => one.key === key);
  const stored = { object: key, offset: 0, length: object?.bytes ?? 0, sha256: object?.sha256 ?? '' };
  return survey.parts.map(({ name, database, offset, length, sha256 }) => ({
    name,
    ...(database === undefined ? {} : { database }),
    ...stored,
    plain: survey.plain,
    compression,
    ...(survey.format === 'plain' ? { within: { offset, length, sha256 } } : { format: survey.format }),
    encryption: null,
  }));
}

const recordOf = (database: SurveyedDatabase): DatabaseRecord => ({
  ...database,
  oid: 0,
  bytes: 0,
  collationVersion: null,
  status: 'dumped',
  reason: null,
  snapshotAt: null,
});

/** Where a foreign dump's directory begins, for a listing. */
export const foreignPrefix = ({ path }: Pick<AdoptSpec, 'path'>) => (path === '' ? '' : `${joinKey(path)}/`);

/** The properties that a foreign dump tells of, and what a new database has for those that it doesn't. */
export function toldProperties({ properties }: Pick<DatabaseRecord, 'properties'>, user: string): DatabaseProperties {
  if (properties !== null) return properties.owner === '' ? { ...properties, owner: user } : properties;
  const privilege = (grantee: string | null, name: string) => ({
    grantor: user,
    grantee,
    privilege: name,
    grantable: false,
  });
  return {
    owner: user,
    tablespace: 'pg_default',
    connectionLimit: -1,
    isTemplate: false,
    comment: null,
    settings: [],
    privileges: [
      privilege(null, 'CONNECT'),
      privilege(null, 'TEMPORARY'),
      ...['CONNECT', 'CREATE', 'TEMPORARY'].map((name) => privilege(user, name)),
    ],
    securityLabels: [],
  };
}
