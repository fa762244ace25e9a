import { describe, expect, it } from '@jest/globals';
import { HoldfastError } from '../../../src/domain/errors.ts';
import { reasonOf } from '../../../src/postgres/dump/reason.ts';
import { ToolFailure } from '../../../src/process/chain.ts';

const failed = (stderr: string, exit: { code: number | null; signal: string | null } = { code: 1, signal: null }) =>
  new ToolFailure(
    `pg_dump failed: ${stderr.trim().split('\n').at(-1) ?? ''}`,
    'hint',
    { file: 'pg_dump', stderr, ...exit },
    [],
  );

describe('why a database failed', () => {
  it("is what pg_dump calls the error, with PostgreSQL's details and without the query", () => {
    const stderr = [
      'pg_dump: warning: something else',
      'pg_dump: error: Dumping the contents of table "t" failed: PQgetResult() failed.',
      'pg_dump: detail: Error message from server: ERROR:  invalid page in block 3',
      'pg_dump: detail: Command was: COPY public.t (x) TO stdout;',
    ].join('\n');
    expect(reasonOf(failed(stderr))).toBe(
      'Dumping the contents of table "t" failed: PQgetResult() failed.; Error message from server: ERROR: invalid page in block 3 (pg_dump\'s exit code was 1)',
    );
  });

  it('names the lock that was waited for in vain', () => {
    const stderr = [
      'pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout',
      'pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE',
    ].join('\n');
    expect(reasonOf(failed(stderr))).toBe(
      "it waited for a table's lock for longer than it may: LOCK TABLE public.t IN ACCESS SHARE MODE",
    );
  });

  it('is the signal where one ended it', () => {
    const error = new ToolFailure(
      'pg_dump was ended by SIGKILL',
      '',
      { file: 'p', code: null, signal: 'SIGKILL', stderr: '' },
      [],
    );
    expect(reasonOf(error)).toBe('pg_dump was ended by SIGKILL');
  });

  it('is one line of bounded length', () => {
    const reason = reasonOf(new HoldfastError('Unexpected', `a\nb ${'x'.repeat(5_000)}`, ''));
    expect(reason).toMatch(/^a b x+\.\.\.$/);
    expect(reason.length).toBeLessThan(700);
  });
});
