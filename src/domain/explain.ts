import type { z } from 'zod';
import { wellFormed } from './format.ts';

export interface Explained {
  readonly path: string;
  readonly message: string;
}

/** zod's issues as a person reads them: the field's path, what was expected and what was there. */
export function explainIssues(error: z.ZodError, value: unknown): Explained[] {
  return error.issues.flatMap((issue) => explainIssue(issue, value));
}

const shownIssues = 10;

/**
 * The first ten on one line, for messages that end up in a workflow's history: short and well-formed whatever was
 * sent, because Temporal takes neither a failure of megabytes nor one with half a character in it.
 */
export function explainShortly(error: z.ZodError, value: unknown): string {
  const findings = explainIssues(error, value).map(({ path, message }) => `${path}: ${message}`);
  const more = findings.length - shownIssues;
  return [...findings.slice(0, shownIssues), ...(more > 0 ? [`and ${String(more)} more`] : [])].join('; ');
}

function explainIssue(issue: z.core.$ZodIssue, value: unknown): Explained[] {
  const path = pathOf(issue.path);
  const hidden = isSecretive(issue);
  const found = () => `found ${describe(lookUp(value, issue.path), hidden)}`;
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: pathOf([...issue.path, key]),
        message: 'is not a known member; check its spelling and its place',
      }));
    case 'invalid_type':
      return [{ path, message: `expected ${expectedWords[issue.expected] ?? issue.expected}, ${found()}` }];
    case 'invalid_value': {
      const options = issue.values.map((option) => JSON.stringify(option)).join(', ');
      return [{ path, message: `expected ${issue.values.length === 1 ? '' : 'one of '}${options}, ${found()}` }];
    }
    case 'invalid_key':
      return [{ path, message: issue.issues.map((inner) => inner.message).join('; ') }];
    case 'too_small':
      return [{ path, message: `must ${sizeOf(issue.origin, 'least', issue.minimum)}, ${found()}` }];
    case 'too_big':
      return [{ path, message: `must ${sizeOf(issue.origin, 'most', issue.maximum)}, ${found()}` }];
    default:
      return [{ path, message: `${issue.message.charAt(0).toLowerCase()}${issue.message.slice(1)}, ${found()}` }];
  }
}

function sizeOf(origin: string, bound: 'least' | 'most', limit: number | bigint): string {
  const number = String(limit);
  return origin === 'string'
    ? `have at ${bound} ${number} character${number === '1' ? '' : 's'}`
    : `be at ${bound} ${number}`;
}

const pathOf = (path: readonly PropertyKey[]) =>
  path.length === 0 ? '(top)' : path.map((key) => shortened(String(key))).join('.');

/** The member that a path leads to; undefined where it leads nowhere. */
export function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

/** A value that was written where a reference to a secret belongs may be the secret. */
const isSecretive = (issue: z.core.$ZodIssue) =>
  issue.path.some((member) => member === 'password' || member === 'credentials') ||
  (issue.code === 'invalid_type' && expectedWords[issue.expected] === 'object');

const expectedWords: Readonly<Record<string, string>> = { object: 'object', record: 'object', int: 'whole number' };

function describe(value: unknown, hidden: boolean): string {
  if (value === undefined) return 'nothing';
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value === 'string') return hidden ? 'a string' : shortened(JSON.stringify(value));
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value !== 'object') return `a ${typeof value}`;
  const keys = Object.keys(value);
  const more = keys.length > 5 ? ', …' : '';
  return keys.length === 0 ? 'an empty object' : `an object with ${keys.slice(0, 5).map(shortened).join(', ')}${more}`;
}

const shortened = (text: string) => wellFormed(text.length > 80 ? `${text.slice(0, 77)}...` : text);
