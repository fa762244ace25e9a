/**
 * Security flaws of PostgreSQL's client tools that a hostile dump or server may use, with the minor versions that fixed
 * them, as the PostgreSQL project's own records name them (checked in November 2026).
 */
export interface Flaw {
  /** Such as CVE-2025-8714. */
  readonly cve: string;
  /** What it allows, in one phrase, with the tools it is in. */
  readonly what: string;
  /** The first version of the same major that is without it; null: none will come, the major is out of support. */
  readonly fixedIn: string | null;
  /** Who can use it: whoever made the SQL, or the archive, that is restored, or the server that the tools talk to. */
  readonly by: 'dump' | 'archive' | 'server';
}

interface Known {
  readonly cve: string;
  readonly what: string;
  readonly by: Flaw['by'];
  /** First minor without it, by major version; majors above the highest never had it. */
  readonly fixed: Readonly<Record<number, number>>;
}

const known: readonly Known[] = [
  {
    cve: 'CVE-2024-7348',
    what: 'whoever owns a table makes pg_dump run functions of his with the rights of the backup role',
    by: 'server',
    fixed: { 12: 20, 13: 16, 14: 13, 15: 8, 16: 4 },
  },
  {
    cve: 'CVE-2025-8714',
    what: 'a superuser of the server a dump came from makes psql run commands on the worker when it is restored',
    by: 'dump',
    fixed: { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 },
  },
  {
    cve: 'CVE-2025-8715',
    what: 'a line break in the name of an object makes psql run commands on the worker when a dump is restored',
    by: 'dump',
    fixed: { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 },
  },
  {
    cve: 'CVE-2026-6475',
    what: "a superuser of the server makes pg_basebackup and pg_rewind overwrite the worker's files",
    by: 'server',
    fixed: { 14: 23, 15: 18, 16: 14, 17: 10, 18: 4 },
  },
  {
    cve: 'CVE-2026-6477',
    what: 'a superuser of the server overwrites the memory of pg_dump and psql where they read large objects',
    by: 'server',
    fixed: { 14: 23, 15: 18, 16: 14, 17: 10, 18: 4 },
  },
  {
    cve: 'CVE-2026-18408',
    what: 'a command hidden behind \\unrestrict in a dump runs on the worker, in spite of its fence',
    by: 'dump',
    fixed: { 14: 24, 15: 19, 16: 15, 17: 11, 18: 6 },
  },
  {
    cve: 'CVE-2026-116314',
    what: 'a crafted archive makes pg_restore run code on the worker',
    by: 'archive',
    fixed: { 14: 25, 15: 20, 16: 16, 17: 12, 18: 7 },
  },
];

/** The flaws that tools of this version ("15.18") have, in the order in which they became known. Pure. */
export function flawsOf(version: string): Flaw[] {
  const { major, minor } = numbersOf(version);
  return known.flatMap(({ cve, what, by, fixed }) => {
    const fixedMinor = fixed[major];
    const isNewer = major > Math.max(...Object.keys(fixed).map(Number));
    if (isNewer || (fixedMinor !== undefined && minor >= fixedMinor)) return [];
    return [{ cve, what, by, fixedIn: fixedMinor === undefined ? null : `${String(major)}.${String(fixedMinor)}` }];
  });
}

/** The minor versions since which dumps carry `\restrict` … `\unrestrict`, by major version. */
const fencesSince: Readonly<Record<number, number>> = { 13: 22, 14: 19, 15: 14, 16: 10, 17: 6 };

/** Whether the tools of this version write `\restrict`, and psql of it understands it. Pure. */
export function knowsFences(version: string): boolean {
  const { major, minor } = numbersOf(version);
  return major >= 18 || minor >= (fencesSince[major] ?? Infinity);
}

function numbersOf(version: string): { readonly major: number; readonly minor: number } {
  const [, major = '0', minor = '0'] = /^(\d+)(?:\.(\d+))?/.exec(version) ?? [];
  return { major: Number(major), minor: Number(minor) };
}
