import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LineCounter, parseDocument } from 'yaml';
import { parseUsableConfig, type Config } from '../domain/config.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { Context } from './context.ts';

export interface LoadedConfiguration {
  readonly config: Config;
  /** Absolute. */
  readonly path: string;
}

const lastPlace = '/etc/holdfast/holdfast.yaml';

/**
 * Reads the file that --config names, else HOLDFAST_CONFIG, else ./holdfast.yaml, else /etc/holdfast/holdfast.yaml.
 * One that was named must be there. Throws ConfigurationInvalid or NotBuiltYet that say where and what.
 */
export async function loadConfiguration(
  context: Pick<Context, 'environment' | 'directory'>,
  given: string | undefined,
): Promise<LoadedConfiguration> {
  const { named, places } = placesOf(context, given);
  const loaded = await readFirst({ named, places });
  if (loaded !== undefined) return loaded;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `there is no configuration at ${places.join(' or ')}`,
    named === undefined
      ? 'write holdfast.yaml here, or name it with --config FILE or HOLDFAST_CONFIG'
      : `check the name given ${given === undefined ? 'in HOLDFAST_CONFIG' : 'with --config'}`,
  );
}

/** The same, and undefined where none was named and none is there. */
export async function findConfiguration(
  context: Pick<Context, 'environment' | 'directory'>,
  given: string | undefined,
): Promise<LoadedConfiguration | undefined> {
  const places = placesOf(context, given);
  return places.named === undefined ? readFirst(places) : loadConfiguration(context, given);
}

interface Places {
  readonly named: string | undefined;
  readonly places: readonly string[];
}

function placesOf({ environment, directory }: Pick<Context, 'environment' | 'directory'>, given?: string): Places {
  const variable = environment['HOLDFAST_CONFIG'];
  const named = given ?? (variable === '' ? undefined : variable);
  return {
    named,
    places: named === undefined ? [resolve(directory, 'holdfast.yaml'), lastPlace] : [resolve(directory, named)],
  };
}

async function readFirst({ places }: Places): Promise<LoadedConfiguration | undefined> {
  for (const path of places) {
    const text = await readIfThere(path);
    if (text !== undefined) return { config: parseConfiguration(text, path), path };
  }
  return undefined;
}

/** The text of a holdfast.yaml. `path` is for messages only. */
export function parseConfiguration(text: string, path: string): Config {
  return parseUsableConfig(readYaml(text, path), path);
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as { readonly code?: unknown }).code === 'ENOENT') return undefined;
    throw new HoldfastError(
      'ConfigurationInvalid',
      `the configuration can't be read: ${messageOf(error)}`,
      'it must be a file that this user may read',
    );
  }
}

/** Plain data. A key that stands twice, an unknown tag or a second document is an error, never a guess. */
function readYaml(text: string, path: string): unknown {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: true });
  const problems = new Map<number, string>();
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    const { line, col } = lineCounter.linePos(pos[0]);
    const what = lowerFirst(message.split(/[\n;]/)[0] ?? '');
    // The first of a line: the others follow from it.
    if (!problems.has(line)) problems.set(line, `  line ${String(line)}, column ${String(col)}: ${what}`);
  }
  if (problems.size > 0) throw notYaml(path, [...problems.values()]);
  try {
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (error) {
    throw notYaml(path, [`  ${lowerFirst(messageOf(error))}`]);
  }
}

const notYaml = (path: string, problems: readonly string[]) =>
  new HoldfastError(
    'ConfigurationInvalid',
    `${path} can't be read as YAML:\n${problems.join('\n')}`,
    'correct the place named above; text that begins with * or & or holds ": " needs quotes',
  );

const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1);
