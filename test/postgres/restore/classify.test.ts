import { describe, expect, it } from '@jest/globals';
import { classify, plainMessage } from '../../../src/postgres/restore/classify.ts';
import { PsqlMessages } from '../../../src/postgres/restore/psql-messages.ts';

describe('what PostgreSQL says', () => {
  it.each([
    ['42704', 'unrecognized configuration parameter "transaction_timeout"', 'harmless', 'note'],
    ['42501', 'must be owner of extension plpgsql', 'harmless', 'note'],
    ['42704', 'unrecognized configuration parameter "vacuum_cleanup_index_scale_factor"', 'unknown setting', 'note'],
    ['42704', 'role "alice" does not exist', 'missing role', 'error'],
    ['42704', 'Rolle »alice« existiert nicht', 'missing object', 'error'],
    ['0A000', 'extension "timescaledb" is not available', 'missing extension', 'error'],
    ['58P01', 'could not access file "$libdir/postgis-3": No such file or directory', 'missing extension', 'error'],
    ['42704', 'tablespace "fast" does not exist', 'missing tablespace', 'error'],
    ['58P01', 'directory "/data/fast" does not exist', 'missing tablespace', 'error'],
    ['22023', 'invalid locale name: "tlh_XX.utf8"', 'missing locale', 'error'],
    ['42P07', 'relation "t" already exists', 'already exists', 'error'],
    ['42601', 'syntax error at or near "foo"', 'syntax', 'error'],
    ['23505', 'could not create unique index "t_pkey"', 'data', 'error'],
    ['42501', 'permission denied for schema public', 'permission', 'error'],
    ['53100', 'could not extend file "base/1/2": No space left on device', 'resources', 'fatal'],
    ['57P01', 'terminating connection due to administrator command', 'connection', 'fatal'],
    ['25006', 'cannot execute CREATE TABLE in a read-only transaction', 'connection', 'fatal'],
    ['XX001', 'invalid page in block 0 of relation base/1/2', 'other', 'fatal'],
  ])('%s %s is about: %s, and weighs: %s', (sqlState, message, kind, weight) => {
    expect(classify({ sqlState, message })).toMatchObject({ kind, weight });
  });

  it('is cut to one short line', () => {
    expect(plainMessage(`a\n\u0007b ${'x'.repeat(500)}`)).toMatch(/^a b x{295}…$/);
  });
});

describe('reading psql', () => {
  const read = (...lines: string[]) => {
    const messages = new PsqlMessages();
    for (const line of lines) messages.push(line);
    return messages;
  };

  it('keeps the first error with its line, SQLSTATE and detail', () => {
    const { error } = read(
      'psql:<stdin>:7: NOTICE:  42P06: schema "s" already exists, skipping',
      'LOCATION:  CreateSchemaCommand, schemacmds.c:110',
      'psql:<stdin>:12: ERROR:  23505: could not create unique index "t_pkey"',
      'DETAIL:  Key (id)=(1) is duplicated.',
      'LOCATION:  comparetup_index_btree, tuplesort.c:4395',
      'psql:<stdin>:13: ERROR:  42P01: relation "u" does not exist',
    );
    expect(error?.finding).toEqual({
      kind: 'data',
      weight: 'error',
      line: 12,
      sqlState: '23505',
      message: 'could not create unique index "t_pkey": Key (id)=(1) is duplicated.',
    });
  });

  it('knows an error in any language, and takes a mild word for what it is', () => {
    expect(read('psql:<stdin>:3: FEHLER:  42704: Rolle »x« existiert nicht').error?.finding.sqlState).toBe('42704');
    expect(read('psql:<stdin>:3: ПРЕДУПРЕЖДЕНИЕ:  01000: что-то').error).toBeUndefined();
    expect(read('psql:<stdin>:3: WARNING:  55000: x').notes.count).toBe(1);
  });

  it('takes what psql itself complains about as fatal', () => {
    expect(read('psql:<stdin>:5: error: invalid command \\restrict').error?.verdict).toMatchObject({
      kind: 'tool too old',
      weight: 'fatal',
    });
    expect(read('psql:<stdin>:9: error: connection to server was lost').error?.verdict).toMatchObject({
      kind: 'connection',
      weight: 'fatal',
    });
    expect(read('psql: error: connection to server at "::1", port 1 failed: FATAL:  no').error?.verdict.kind).toBe(
      'connection',
    );
  });

  it('keeps fifty notes and counts the rest', () => {
    const messages = new PsqlMessages();
    for (let line = 1; line <= 1000; line += 1) messages.push(`psql:<stdin>:${String(line)}: WARNING:  01000: w`);
    expect(messages.notes.count).toBe(1000);
    expect(messages.notes.first).toHaveLength(50);
  });
});
