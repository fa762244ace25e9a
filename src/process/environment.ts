import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * The only place that looks at the worker's own environment, and it takes three names from it: a child must not
 * inherit PG*, AWS* or a secret that was meant for somebody else.
 */
const inherited = ['PATH', 'TMPDIR', 'TZ'] as const;

/** What a child sees: the three above, messages in plain English, then its command's own variables. */
export function childEnvironment(
  own: Readonly<Record<string, string>> = {},
  worker: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: 'C.UTF-8' };
  for (const name of inherited) {
    const value = worker[name];
    if (value !== undefined) environment[name] = value;
  }
  return { ...environment, ...own };
}

/**
 * The absolute path of an executable file: a name is looked up along `path` (default: the worker's PATH), a path is
 * taken as it is. undefined if there is none.
 */
export function findTool(name: string, path: string | undefined = process.env['PATH']): string | undefined {
  if (name.includes('/')) return isExecutable(name) ? name : undefined;
  for (const directory of (path ?? '').split(delimiter)) {
    if (directory === '') continue;
    const candidate = join(directory, name);
    if (isExecutable(candidate)) return candidate;
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}
