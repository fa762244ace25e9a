import { chmod, chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { shellWord } from '../../domain/format.ts';
import { writeLasting } from '../instance/mark.ts';
import type { RunAs } from '../instance/run-as.ts';

/**
 * Where PostgreSQL and the worker hand over WAL. PostgreSQL's side is a small script, which asks for a file by putting
 * its name into want/ and waits, as long as it takes, for the file itself in ready/ or for its name in absent/: the
 * worker's word that the archive certainly has none. A worker that is gone, or whose store doesn't answer, so makes
 * PostgreSQL wait, and never look like the archive's end.
 */
export interface Spool {
  readonly directory: string;
  readonly want: string;
  readonly ready: string;
  readonly absent: string;
}

export const spoolAt = (directory: string): Spool => ({
  directory,
  want: join(directory, 'want'),
  ready: join(directory, 'ready'),
  absent: join(directory, 'absent'),
});

const scriptName = 'fetch-wal';

/**
 * Exit codes as PostgreSQL reads them: 0 here it is; 1 the archive has none; above 125 stop at once, nothing is known.
 * The test for our parent is for a server that was killed: nobody else ends the waiting then.
 */
const script = `#!/bin/sh
# Hands PostgreSQL one file of the archive: fetch-wal DIRECTORY NAME TARGET. Written by Holdfast.
spool=$1 name=$2 target=$3
case $name in '' | *[!0-9A-Za-z.]* | .*) exit 200 ;; esac
parent=$PPID
turns=0
while :; do
  if [ -f "$spool/ready/$name" ]; then
    if mv -f "$spool/ready/$name" "$target"; then
      rm -f "$spool/want/$name"
      exit 0
    fi
    [ -f "$spool/ready/$name" ] && exit 201
  fi
  if [ -f "$spool/absent/$name" ]; then
    rm -f "$spool/want/$name" "$spool/absent/$name" || exit 202
    exit 1
  fi
  [ -f "$spool/want/$name" ] || : >"$spool/want/$name" || exit 203
  kill -0 "$parent" 2>/dev/null || exit 204
  turns=$((turns + 1))
  if [ "$turns" -lt 200 ]; then sleep 0.02 2>/dev/null || sleep 1; else sleep 0.2 2>/dev/null || sleep 1; fi
done
`;

/**
 * Makes the spool, or clears what an earlier recovery or worker has left of requests and answers: an answer must never
 * be taken for that to a later question. A server that waits asks again.
 */
export async function prepareSpool(spool: Spool, owner: RunAs | undefined): Promise<void> {
  for (const directory of [spool.directory, spool.want, spool.ready, spool.absent]) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
  }
  // Answers before requests: a request that is made meanwhile is made again.
  for (const directory of [spool.absent, spool.ready, spool.want])
    for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
  for (const name of await readdir(spool.directory))
    if (name.endsWith('.new')) await rm(join(spool.directory, name), { force: true });
  const path = join(spool.directory, scriptName);
  await writeLasting(path, script, owner);
  await chmod(path, 0o700);
}

/** What goes into restore_command. `exec`: the script's parent is PostgreSQL itself. */
export function restoreCommand(spool: Spool): string {
  if (/[\0\r\n]/.test(spool.directory))
    throw new HoldfastError(
      'InvalidArgument',
      `${JSON.stringify(spool.directory)} can't hold a spool`,
      'choose a directory without line breaks in its name',
    );
  const word = (text: string) => shellWord(text).replaceAll('%', '%%');
  return `exec /bin/sh ${word(join(spool.directory, scriptName))} ${word(spool.directory)} "%f" "%p"`;
}
