import { open } from 'node:fs/promises';
import { HoldfastError } from '../../domain/errors.ts';
import type { Command } from '../../process/chain.ts';
import { majorOf } from '../restore/dump-version.ts';
import type { Tools } from '../tools.ts';

/** An archive as pg_restore reads it: a file in custom or tar format, or the directory of the directory format. */
export interface LocalSource {
  readonly path: string;
  readonly format: 'custom' | 'tar' | 'directory';
}

const customMagic = 'PGDMP';

/** Which of them lies there. What is neither a directory nor begins as the custom format does counts as tar. */
export async function localSource(path: string): Promise<LocalSource> {
  const handle = await open(path);
  try {
    if ((await handle.stat()).isDirectory()) return { path, format: 'directory' };
    const head = Buffer.alloc(customMagic.length);
    await handle.read(head, 0, head.length, 0);
    return { path, format: head.toString('latin1') === customMagic ? 'custom' : 'tar' };
  } finally {
    await handle.close();
  }
}

export interface ScriptWishes {
  /** undefined: the archive (custom or tar) comes by stdin, and nothing is kept on disk. */
  readonly source?: LocalSource;
  /** What to restore of it comes by stdin, as `pg_restore -L` reads it; for a source only. */
  readonly listed?: boolean;
  /** Only definitions, or only those of this section. */
  readonly only?: 'schema' | 'pre-data';
  /** With CREATE DATABASE and the like. */
  readonly create?: boolean;
}

/**
 * pg_restore as a filter that prints an archive as SQL for psql: what `convert` of a load takes. It reaches no server.
 */
export function archiveScript(tools: Pick<Tools, 'pgRestore'>, wishes: ScriptWishes = {}): Command {
  const { source, listed, only, create } = wishes;
  const command: Command = {
    file: tools.pgRestore,
    args: [
      '--file=-',
      ...(only === 'schema' ? ['--schema-only'] : only === undefined ? [] : [`--section=${only}`]),
      ...(create === true ? ['--create'] : []),
      ...(source === undefined ? [] : [source.path]),
    ],
  };
  return listed === true ? withList(command) : command;
}

/**
 * pg_restore that takes its list by stdin. It opens that by its name, which can be done with a pipe of a shell's, not
 * with the socket that Node makes.
 */
export const withList = (command: Command): Command => ({
  ...command,
  name: command.name ?? 'pg_restore',
  file: 'sh',
  args: ['-c', 'cat | "$@" --use-list=/dev/stdin', 'sh', command.file, ...command.args],
});

/**
 * The version of the client tools that restore an archive: never older than the pg_dump that wrote it, which they might
 * not understand.
 * @param dumpVersion "17.6"
 * @returns a version number for findTools
 */
export const archiveToolsVersionNum = (dumpVersion: string, serverVersionNum: number) =>
  Math.max(majorOf(dumpVersion) * 10_000, serverVersionNum);

/** ToolTooOld where pg_restore is older than the pg_dump that wrote an archive. */
export function assertReadsArchive(tools: Pick<Tools, 'major' | 'version' | 'pgRestore'>, dumpVersion: string): void {
  if (tools.major >= majorOf(dumpVersion)) return;
  throw new HoldfastError(
    'ToolTooOld',
    `${tools.pgRestore} is of version ${tools.version}, and the archive was written by pg_dump ${dumpVersion}`,
    `install the client tools of PostgreSQL ${String(majorOf(dumpVersion))} on the worker`,
  );
}

/**
 * Whether an archive goes into a server as a script by psql: pg_restore 17 and newer say SET transaction_timeout, which
 * older servers refuse, and only out of a script that can be taken. It is one job then.
 */
export const needsScript = (tools: Pick<Tools, 'major'>, serverVersionNum: number) =>
  tools.major >= 17 && serverVersionNum < 170_000;
