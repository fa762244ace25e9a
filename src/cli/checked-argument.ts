import type { z } from 'zod';
import { HoldfastError } from '../domain/errors.ts';
import { explainIssues } from '../domain/explain.ts';

/**
 * What was typed, read by the schema of the workflow that will get it, so that a mistake ends here and not in a run.
 * @param names how each member is typed, such as `--missing-roles`
 */
export function checkedArgument<T>(schema: z.ZodType<T>, value: unknown, names: Readonly<Record<string, string>>): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const findings = explainIssues(parsed.error, value).map(({ path, message }) => `${names[path] ?? path} ${message}`);
  throw new HoldfastError('InvalidArgument', findings.join('; '), 'give another value; --help shows examples');
}
