import type { ClusterReport, RestoredDatabase } from '../../domain/restore-report.ts';
import { clusterCopyReport, describeFinding } from '../../domain/restore-report.ts';
import { HoldfastError, type ErrorType } from '../../domain/errors.ts';
import type { DrillCheckResult, DrillEvidence } from '../../domain/evidence.ts';
import { formatCount, oneLine } from '../../domain/format.ts';
import type { Manifest } from '../../domain/manifest.ts';
import { failed, passed } from './checks.ts';

/** What came of bringing a backup back, before a configured check was asked. */
export interface Restored {
  readonly checks: readonly DrillCheckResult[];
  /** null: nothing that answers came of it. */
  readonly restoreSeconds: number | null;
  /** By the source's clock: what was committed before is in the copy; null: nothing was restored. */
  readonly dataOf: string | null;
  readonly reached: DrillEvidence['reached'];
}

export const nothingRestored = (check: DrillCheckResult): Restored => ({
  checks: [check],
  restoreSeconds: null,
  dataOf: null,
  reached: null,
});

/** What these say is wrong with the backup. Everything else is the drill's own trouble, and says nothing of it. */
const backupsOwn: readonly ErrorType[] = [
  'DumpRefused',
  'ObjectDamaged',
  'PlanHopeless',
  'RestoreFailed',
  'VerificationFailed',
  'WalMissing',
];

/** The error, if it is about the backup itself; else undefined. */
export function blames(error: unknown): HoldfastError | undefined {
  if (!(error instanceof HoldfastError) || !backupsOwn.includes(error.type) || isNoRoom(error.message))
    return undefined;
  return error;
}

/** Whether a text tells that the disk of the drill was full: then nothing was learned. */
export const isNoRoom = (text: string) => /No space left on device|Disk quota exceeded|SQLSTATE 53100/.test(text);

/** Of a logical backup: that everything in it came back, as the manifest has it. Pure. */
export function clusterChecks(
  report: ClusterReport,
  manifest: Pick<Manifest, 'databases' | 'roles'>,
  roles: ReadonlySet<string>,
): DrillCheckResult[] {
  const wanted = manifest.databases.filter(({ name, status }) => status === 'dumped' && name !== 'template0');
  const found = new Map(report.databases.map((database) => [database.name, database]));
  const lost = wanted.filter(({ name }) => found.get(name)?.status !== 'restored');
  const lostRoles = manifest.roles.filter(({ name }) => !roles.has(name));
  const copy = clusterCopyReport(report);
  const errors = report.globals.errors.first.map(describeFinding);
  return [
    judged(
      'roles and tablespaces',
      [...errors, ...lostRoles.map(({ name }) => `role '${name}' is missing`)],
      formatCount(manifest.roles.length, 'role'),
    ),
    judged(
      'databases',
      lost.map(({ name }) => `'${name}': ${reasonOf(found.get(name))}`),
      formatCount(wanted.length, 'database'),
    ),
    judged(
      'row counts',
      report.databases.flatMap((database) => differencesOf(database)),
      `${formatCount(copy.rows, 'row')} in ${formatCount(copy.tables, 'table')}, as in the manifest`,
    ),
  ];
}

const reasonOf = (found: RestoredDatabase | undefined) => found?.reason ?? 'it is not there';

function differencesOf({ name, report }: RestoredDatabase): string[] {
  if (report === null || report.ok) return [];
  return [
    ...report.differences.map(
      ({ object, expected, found }) => `'${name}': ${object}: expected ${expected}, found ${found}`,
    ),
    ...report.errors.map((finding) => `'${name}': ${describeFinding(finding)}`),
  ];
}

const shownAtMost = 5;

/** Passed where nothing is wrong. Pure. */
export function judged(name: string, wrong: readonly string[], well: string): DrillCheckResult {
  if (wrong.length === 0) return passed(name, well);
  const shown = wrong.slice(0, shownAtMost).map((line) => oneLine(line).slice(0, 400));
  const more = wrong.length > shownAtMost ? `; and ${String(wrong.length - shownAtMost)} more` : '';
  return failed(name, `${shown.join('; ')}${more}`);
}

/** How old data was at a moment; never below zero: two clocks are compared. Pure. */
export function ageSeconds(dataOf: string | null, at: Date): number | null {
  if (dataOf === null) return null;
  return Math.max(0, (at.getTime() - Date.parse(dataOf)) / 1000);
}

/** What a base backup ended with is in its copy, also where no transaction was replayed after it. Pure. */
export const laterOf = (replayed: string | null, ended: string): string =>
  replayed !== null && Date.parse(replayed) > Date.parse(ended) ? replayed : ended;

/** The earliest snapshot: the databases of one backup are not one moment. Pure. */
export function dataOfLogical({ databases, startedAt }: Pick<Manifest, 'databases' | 'startedAt'>): string {
  const snapshots = databases.flatMap(({ snapshotAt }) => (snapshotAt === null ? [] : [snapshotAt]));
  return snapshots.sort((a, b) => Date.parse(a) - Date.parse(b))[0] ?? startedAt;
}
