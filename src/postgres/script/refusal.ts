import { describeDumpFinding, type DumpFinding } from '../../domain/dump-survey.ts';
import { HoldfastError } from '../../domain/errors.ts';

/** Says what of a dump isn't let through, where it stands, and whether it can be allowed. */
export function refusal(finding: DumpFinding): HoldfastError {
  return new HoldfastError('DumpRefused', `the dump holds ${describeDumpFinding(finding)}`, hints[finding.needs]);
}

const hints: Readonly<Record<DumpFinding['needs'], string>> = {
  never: 'this is never run: find out who put it there, or take it out of a copy of the dump by hand',
  'server-side':
    "it reads, writes or runs something on the server's own machine; if you know why it is there, allow server-side",
  unexpected: 'pg_dump writes nothing of the kind; if you know why it is there, allow unexpected',
};
