import { describe, expect, it } from '@jest/globals';
import { HoldfastError } from '../../src/domain/errors.ts';
import { postgresFailure, sqlState } from '../../src/postgres/failures.ts';

const coded = (code: string, message = 'text') => Object.assign(new Error(message), { code });

describe('what PostgreSQL or the network said', () => {
  it.each([
    ['28P01', 'PostgresRefused'],
    ['28000', 'PostgresRefused'],
    ['3D000', 'PostgresRefused'],
    ['42501', 'PostgresRefused'],
    ['55P03', 'Busy'],
    ['40P01', 'Busy'],
    ['53300', 'PostgresUnavailable'],
    ['57P01', 'PostgresUnavailable'],
    ['57P03', 'PostgresUnavailable'],
    ['08006', 'PostgresUnavailable'],
    ['XX001', 'PostgresUnavailable'],
    ['42P01', 'Unexpected'],
    ['ECONNREFUSED', 'PostgresUnavailable'],
    ['ENOTFOUND', 'PostgresUnavailable'],
    ['EACCES', 'PostgresRefused'],
    ['EPIPE', 'PostgresUnavailable'],
    ['CERT_HAS_EXPIRED', 'PostgresRefused'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'PostgresRefused'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'PostgresRefused'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'PostgresRefused'],
  ])('with code %s is %s', (code, type) => {
    expect(postgresFailure(coded(code), 'ask')).toMatchObject({ type, message: "can't ask: text" });
  });

  it('without a code is a connection that broke', () => {
    expect(postgresFailure(new Error('Connection terminated unexpectedly'), 'ask').type).toBe('PostgresUnavailable');
  });

  it('asks for a password where none is configured', () => {
    const error = new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a non-empty string');
    expect(postgresFailure(error, 'connect')).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('password'),
    });
  });

  it('always has a hint, and keeps the original', () => {
    const original = coded('22012', 'division by zero');
    const failure = postgresFailure(original, 'divide');
    expect(failure.hint).not.toBe('');
    expect(failure.cause).toBe(original);
    expect(sqlState(failure)).toBe('22012');
  });

  it('says what the first of several addresses answered', () => {
    const both = new AggregateError([coded('ECONNREFUSED', 'connect ECONNREFUSED ::1:5432')], '');
    expect(postgresFailure(both, 'connect').message).toBe("can't connect: connect ECONNREFUSED ::1:5432");
  });

  it('leaves a failure that has a name already as it is', () => {
    const own = new HoldfastError('StoreFull', 'no space', 'make room');
    expect(postgresFailure(own, 'write')).toBe(own);
  });
});

describe('the SQLSTATE', () => {
  it('is found in what wraps it', () => {
    expect(sqlState(new Error('outside', { cause: coded('3D000') }))).toBe('3D000');
  });

  it('is none for an errno, though that has five letters too', () => {
    expect(sqlState(coded('EPIPE'))).toBeUndefined();
    expect(sqlState(undefined)).toBeUndefined();
  });
});
