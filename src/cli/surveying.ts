import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readDump } from '../activities/read-dump.ts';
import type { Config } from '../domain/config.ts';
import { describeDumpFinding, type DumpSurvey } from '../domain/dump-survey.ts';
import { HoldfastError } from '../domain/errors.ts';
import { findForeign } from '../domain/foreign.ts';
import { formatBytes, formatCount } from '../domain/format.ts';
import type { Allowance } from '../domain/manifest.ts';
import { findTool } from '../process/environment.ts';
import { findCompressors } from '../streams/compress.ts';
import { readCatalogs, readForeign, repositoryOpener, type LocatedDump } from './catalogs.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { commandWord } from './type-this.ts';
import { liveProgress } from './verifying.ts';

/** Reads a foreign dump whole, as the worker does before it adopts one, and writes nothing into the repository. */
export async function surveyForeign(
  context: Context,
  output: Output,
  config: Config,
  asked: { readonly dump: string; readonly cluster: string | undefined; readonly allow: readonly Allowance[] },
  signal: AbortSignal,
): Promise<ExitCode> {
  const open = repositoryOpener(context);
  const located = locateDump(await readForeign(config, open, await readCatalogs(config, open)), asked);
  const { adopt, dump, keys } = located;
  const find = (name: string) => findTool(name, context.environment['PATH']);
  const deps = {
    compressors: await findCompressors(find, signal),
    config: () => Promise.resolve(config),
    toolPlaces: ({ tools }: Config) => ({ configured: tools.postgres, path: context.environment['PATH'] ?? '' }),
    scratch: join(tmpdir(), 'holdfast'),
  };
  const progress = liveProgress(context, output, dump.id);
  const owner = { run: 'survey', attempt: 1 };
  const work = {
    signal,
    report: ({ bytes = 0, totalBytes = 0 }: { readonly bytes?: number; readonly totalBytes?: number }) => {
      progress(bytes, totalBytes);
    },
  };
  try {
    const { survey } = await readDump(deps, open(adopt.repository), { dump, keys, allow: asked.allow }, owner, work);
    output.live(null);
    showSurvey(output, located, survey);
    const { format, of, serverVersion, dumpVersion, incomplete, databases, findings, findingCount, notes } = survey;
    output.document({
      id: dump.id,
      file: dump.key,
      format,
      of,
      serverVersion,
      dumpVersion,
      incomplete,
      databases: databases.map(({ name, tables }) => ({ name, tables })),
      findings,
      findingCount,
      notes,
    });
    return incomplete !== null ? exitCodes.damaged : findingCount > 0 ? exitCodes.refused : exitCodes.ok;
  } finally {
    output.live(null);
  }
}

function locateDump(
  dumps: readonly LocatedDump[],
  { dump: asked, cluster }: { readonly dump: string; readonly cluster: string | undefined },
): LocatedDump {
  const candidates = dumps.filter((one) => cluster === undefined || one.cluster === cluster);
  const wanted = findForeign(
    candidates.map(({ dump }) => dump),
    asked,
  );
  const found = candidates.find(({ dump }) => dump === wanted);
  if (found !== undefined) return found;
  throw new HoldfastError(
    'NoSuchBackup',
    `there is no dump '${asked}' that a policy may adopt`,
    "'holdfast backups list' shows them; a policy says where they lie with adopt: { pattern: … }",
  );
}

function showSurvey(output: Output, { dump, adopt }: LocatedDump, survey: DumpSurvey): void {
  const { incomplete, databases, findings, findingCount } = survey;
  const made = survey.dumpVersion === null ? '' : `, by pg_dump ${survey.dumpVersion}`;
  const from = survey.serverVersion === null ? '' : ` from PostgreSQL ${survey.serverVersion}`;
  const what = survey.of === 'cluster' ? 'a whole server' : 'one database';
  output.line(
    incomplete === null ? styled('green', 'whole') : styled('red', 'CUT OFF'),
    `  ${dump.key}: ${what}, format ${survey.format}${from}${made}, ${formatBytes(survey.plain.length)}`,
  );
  if (incomplete !== null) output.line(`  ${incomplete}`);
  output.table(
    ['DATABASE', 'TABLES', 'ROWS', 'OWNER'],
    databases.map(({ name, tables, owner }) => [name, String(tables.length), rowsOf(tables), owner]),
    '  ',
  );
  for (const finding of findings)
    output.line(
      '  ',
      styled('yellow', finding.needs === 'never' ? 'refused' : finding.needs),
      `: ${describeDumpFinding(finding)}`,
    );
  if (findingCount > findings.length)
    output.line(`  and ${formatCount(findingCount - findings.length, 'more', 'more')}`);
  for (const note of survey.notes) output.line(`  note: ${note}`);
  const command = `holdfast backups adopt ${commandWord(dump.id)} --policy ${adopt.policy} --reason 'from the old cron job'`;
  if (incomplete === null && findingCount === 0) output.line('  ', styled('cyan', command));
}

const rowsOf = (tables: DumpSurvey['databases'][number]['tables']) =>
  tables.every(([, , rows]) => rows === null)
    ? 'not counted'
    : String(tables.reduce((sum, [, , rows]) => sum + (rows ?? 0), 0));
