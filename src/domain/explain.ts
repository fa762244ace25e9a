import type { z } from 'zod';

export interface Explained {
  readonly path: string;
  readonly message: string;
}

/** zod's issues as a person reads them: the field's path, what was expected and what was there. */
export function explainIssues(error: z.ZodError, value: unknown): Explained[] {
  return error.issues.flatMap((issue) => explainIssue(issue, value));
}

function explainIssue(issue: z.core.$ZodIssue, value: unknown): Explained[] {
  const path = issue.path.length === 0 ? '(top)' : issue.path.map(String).join('.');
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...issue.path.map(String), key].join('.'),
        message: 'is not a known member; check its spelling and its place',
      }));
    case 'invalid_type':
      return [{ path, message: `expected ${issue.expected}, found ${describe(lookUp(value, issue.path))}` }];
    case 'invalid_value':
      return [
        {
          path,
          message: `expected one of ${issue.values.map((option) => JSON.stringify(option)).join(', ')}, found ${describe(lookUp(value, issue.path))}`,
        },
      ];
    case 'invalid_key':
      return [{ path, message: issue.issues.map((inner) => inner.message).join('; ') }];
    default:
      return [{ path, message: `${issue.message}, found ${describe(lookUp(value, issue.path))}` }];
  }
}

function lookUp(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null) return undefined;
    current = (current as Record<PropertyKey, unknown>)[key];
  }
  return current;
}

function describe(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  const text = JSON.stringify(value) as string | undefined;
  if (text === undefined) return typeof value;
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
