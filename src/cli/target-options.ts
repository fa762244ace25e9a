import { InvalidArgumentError, Option, type Command } from 'commander';

/** Where a recovery stops, as it is typed. */
export interface TargetOptions {
  readonly latest?: true;
  readonly immediate?: true;
  readonly time?: string;
  readonly lsn?: string;
  readonly xid?: string;
  readonly name?: string;
  readonly timeline?: number | 'latest';
  readonly exclusive?: true;
}

export const targetKinds = ['latest', 'immediate', 'time', 'lsn', 'xid', 'name'] as const;

const targets: readonly (readonly [(typeof targetKinds)[number], flags: string, description: string])[] = [
  ['latest', '--latest', 'everything that is archived'],
  ['immediate', '--immediate', 'no further than the base backup needs'],
  ['time', '--time <time>', "a time with its offset from UTC, such as '2026-11-21T14:00:00+09:00'"],
  ['lsn', '--lsn <lsn>', 'a place in the write-ahead log, such as 16/B374D848'],
  ['xid', '--xid <number>', 'the end of this transaction'],
  ['name', '--name <name>', 'a restore point that pg_create_restore_point() made'],
];

/** Exactly one of them has to be given, which is checked where they are read. */
export function addTargetOptions(command: Command): Command {
  for (const [kind, flags, description] of targets)
    command.addOption(
      new Option(flags, `target: ${description}`).conflicts(targetKinds.filter((other) => other !== kind)),
    );
  return command
    .option('--timeline <number>', 'recover along this timeline (default: the newest one in the archive)', timeline)
    .option('--exclusive', 'with --time, --lsn or --xid: stop just before it instead of just behind');
}

function timeline(text: string): number | 'latest' {
  if (text === 'latest') return text;
  if (!/^[1-9][0-9]{0,9}$/.test(text)) throw new InvalidArgumentError("expected a timeline's number or latest.");
  return Number(text);
}
