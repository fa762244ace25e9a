import type { Backup } from './catalog.ts';
import { formatBytes, formatVersion } from './format.ts';
import type { Obstacle } from './plan.ts';
import type { Flaw } from './psql-flaws.ts';
import type {
  ClusterPreflightFacts,
  ExtractFacts,
  Listed,
  LiveFacts,
  NeedsFacts,
  PreflightFacts,
  TargetServerFacts,
} from './restore-report.ts';

/**
 * What a preflight found, weighed: what makes a restore hopeless before anything is made, what only stands in the way
 * of the swap, and what is good to know.
 */

const names = ({ first, count }: Listed<string>) =>
  `${first.map((name) => `'${name}'`).join(', ')}${count > first.length ? ` and ${String(count - first.length)} more` : ''}`;

const hopeless = (what: string, cure: string): Obstacle => ({ weight: 'hopeless', what, cure });
const note = (what: string, cure = ''): Obstacle => ({ weight: 'note', what, cure });

export interface RestoreWishes {
  readonly missingRoles: 'fail' | 'create';
  /** The live database is to be put aside. */
  readonly swap: boolean;
}

/** What the client tools that would read a dump are known to run by mistake. */
export interface ToolFlaws {
  /** "15.18" */
  readonly version: string;
  readonly flaws: readonly Flaw[];
}

/** For a dump that Holdfast didn't make: psql is a part of what runs it. */
export function originObstacles({ manifest }: Pick<Backup, 'manifest'>, { version, flaws }: ToolFlaws): Obstacle[] {
  if (manifest.origin === undefined) return [];
  const usable = flaws.filter(({ by }) => by !== 'server');
  return [
    ...(usable.length > 0
      ? [
          note(
            `the worker's PostgreSQL client tools, version ${version}, have flaws that a hostile dump may use: ${usable.map(({ cve, what }) => `${cve} (${what})`).join(', ')}; what is known to use them is refused before psql sees it`,
            'update the PostgreSQL client tools on the worker',
          ),
        ]
      : []),
    ...manifest.warnings.slice(0, 10).map((warning) => note(warning)),
  ];
}

/** What was chosen and the backup doesn't have, with what may have been meant. */
export const notInBackupObstacles = (missing: ExtractFacts['notInBackup']): Obstacle[] =>
  missing.first.map(({ what, similar }) =>
    hopeless(
      `the backup has no ${what}`,
      similar.length === 0
        ? "check the name; 'holdfast backups show' tells what the backup holds"
        : `it has ${similar.slice(0, 5).join(', ')}`,
    ),
  );

/** For tables and schemas that are put into a new schema of the live database. */
export function extractObstacles(facts: ExtractFacts, schema: string): Obstacle[] {
  const { missingExtensions, missingRoles, publishesAllTables, eventTriggers } = facts;
  return [
    ...(facts.schemaFree
      ? []
      : [hopeless(`schema '${schema}' exists already in the live database`, 'choose another name for intoSchema')]),
    ...notInBackupObstacles(facts.notInBackup),
    ...(missingExtensions.count === 0
      ? []
      : [
          note(
            `the live database lacks extensions of the backup: ${names(missingExtensions)}`,
            'create them first if the tables use them',
          ),
        ]),
    ...(missingRoles.count === 0
      ? []
      : [
          note(
            `the server lacks roles of the backup: ${names(missingRoles)}`,
            'create them first if they own the tables',
          ),
        ]),
    ...(publishesAllTables.count === 0
      ? []
      : [
          note(
            `the live database publishes all tables, so the new ones too: ${names(publishesAllTables)}`,
            'their subscribers stop where they lack the tables',
          ),
        ]),
    ...(eventTriggers.count === 0
      ? []
      : [note(`event triggers of the live database may hear of the new tables: ${names(eventTriggers)}`)]),
  ];
}

/** What there is to know about the backup itself. */
export function backupObstacles({ manifest, verification }: Backup): Obstacle[] {
  const failed = manifest.databases.filter(({ status }) => status === 'failed').map(({ name }) => name);
  return [
    ...(verification === 'none' && manifest.origin?.kind !== 'surveyed'
      ? [note(`backup ${manifest.id} has never been read back`, "'holdfast backups verify' does it")]
      : []),
    ...(failed.length === 0
      ? []
      : [
          note(
            `backup ${manifest.id} is partial: it lacks ${names({ count: failed.length, first: failed.slice(0, 10) })}`,
          ),
        ]),
  ];
}

/** For the restore of one database. */
export function databaseObstacles(facts: PreflightFacts, wishes: RestoreWishes): Obstacle[] {
  const { target, needs, needBytes, namesTaken, live } = facts;
  return [
    ...serverObstacles(target, facts.source.versionNum),
    ...spaceObstacles(target, needBytes),
    ...namesTaken.map((name) =>
      hopeless(`database '${name}' exists already on the target`, 'drop or rename it, or choose another name'),
    ),
    ...roleObstacles(needs, wishes),
    ...needsObstacles(needs),
    ...(wishes.swap && live ? liveObstacles(live) : []),
  ];
}

/** For the restore of a whole backup: roles and tablespaces come with it. */
export function clusterObstacles(facts: ClusterPreflightFacts): Obstacle[] {
  const { target, occupied, tablespaces } = facts;
  return [
    ...serverObstacles(target, facts.source.versionNum),
    ...spaceObstacles(target, facts.needBytes),
    ...(occupied.count === 0
      ? []
      : [
          hopeless(
            `the target is not empty: ${occupied.first.map(({ name, holds }) => `'${name}' holds ${holds}`).join('; ')}`,
            'restore a whole cluster into an empty one, or single databases with "database"',
          ),
        ]),
    ...tablespaces.flatMap(({ name, location, state }) =>
      state === 'directory is missing' || state === 'directory is in use'
        ? [
            hopeless(
              `tablespace '${name}' can't be made: ${location}: ${state}`,
              'make an empty directory there that belongs to the server’s user',
            ),
          ]
        : [],
    ),
    ...facts.needs.flatMap(needsObstacles),
  ];
}

function serverObstacles(target: TargetServerFacts, sourceVersionNum: number): Obstacle[] {
  const found: Obstacle[] = [];
  if (target.inRecovery)
    found.push(
      hopeless('the target is a standby: nothing can be written there', 'name the primary as the cluster’s host'),
    );
  if (!target.superuser)
    found.push(
      hopeless(
        `role '${target.user}' is not a superuser: it can't restore owners and privileges`,
        'connect as a superuser',
      ),
    );
  const [source, own] = [sourceVersionNum, target.versionNum].map((version) => Math.floor(version / 10_000));
  if (own !== undefined && source !== undefined && own < source) {
    found.push(
      note(
        `the backup is of PostgreSQL ${formatVersion(sourceVersionNum)}, the target is older (${formatVersion(target.versionNum)}): what it doesn't know is reported`,
      ),
    );
  }
  return found;
}

function spaceObstacles({ freeBytes }: TargetServerFacts, needBytes: number): Obstacle[] {
  if (freeBytes === null || freeBytes >= needBytes) return [];
  return [
    hopeless(
      `the target has ${formatBytes(freeBytes)} free, the copy needs about ${formatBytes(needBytes)}`,
      'make room, or restore onto another cluster with "onto"',
    ),
  ];
}

function roleObstacles({ missingRoles }: NeedsFacts, { missingRoles: wish }: RestoreWishes): Obstacle[] {
  if (missingRoles.count === 0) return [];
  if (wish === 'create')
    return [
      note(`roles ${names(missingRoles)} are created, without login and password`, 'give them passwords yourself'),
    ];
  return [
    hopeless(
      `the target lacks roles that own something or are granted something: ${names(missingRoles)}`,
      'create them, or say "missingRoles":"create"',
    ),
  ];
}

function needsObstacles({ database, extensions, missingTablespaces, locale }: NeedsFacts): Obstacle[] {
  return [
    ...extensions.first.map(({ name, version, available }) =>
      available === null
        ? hopeless(
            `database '${database}' needs extension ${`${name} ${version}`.trim()}, which the target's installation doesn't have`,
            `install the package that brings ${name}`,
          )
        : note(`database '${database}' had extension ${name} ${version}; the target makes it ${available}`),
    ),
    ...(missingTablespaces.count === 0
      ? []
      : [
          hopeless(
            `database '${database}' uses tablespaces that the target lacks: ${names(missingTablespaces)}`,
            'create them with CREATE TABLESPACE',
          ),
        ]),
    ...(locale === null
      ? []
      : [
          hopeless(
            `database '${database}' can't be made on the target: ${locale}`,
            'install the locale on the target’s host and restart PostgreSQL',
          ),
        ]),
  ];
}

function liveObstacles(live: LiveFacts): Obstacle[] {
  const swap = (what: string, cure: string): Obstacle => ({ weight: 'swap', what, cure });
  return [
    ...(live.invalid
      ? [
          hopeless(
            'the live database is invalid: a DROP DATABASE of it was cut short',
            'drop it; the restore then makes a new one',
          ),
        ]
      : []),
    ...(live.preparedTransactions.count === 0
      ? []
      : [
          swap(
            `prepared transactions in the live database: ${names(live.preparedTransactions)}`,
            'COMMIT PREPARED or ROLLBACK PREPARED each before the swap',
          ),
        ]),
    ...(live.logicalSlots.count === 0
      ? []
      : [
          swap(
            `logical replication slots of the live database: ${names(live.logicalSlots)}`,
            'drop them before the swap: they would stay with the old database',
          ),
        ]),
    ...(live.subscriptions.count === 0
      ? []
      : [
          swap(
            `subscriptions in the live database: ${names(live.subscriptions)}`,
            'disable and drop them before the swap',
          ),
        ]),
  ];
}
