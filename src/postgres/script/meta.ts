import { decodeText } from './encodings.ts';

/** A line for psql, as far as a dump has such lines. */
export type Command =
  | { readonly kind: 'connect'; readonly database: string }
  | { readonly kind: 'encoding'; readonly encoding: string }
  | { readonly kind: 'restrict' | 'unrestrict'; readonly key: string }
  /** Anything else, or one of these in a form that no dump has; `word`: what it begins with. */
  | { readonly kind: 'other'; readonly word: string };

/** Reads a line that begins with a backslash. Pure; nothing may stand behind what a dump writes. */
export function readCommand(bytes: Uint8Array): Command {
  const text = decodeText(bytes, 'utf8')
    .replace(/\r?\n$/, '')
    .replace(/\r$/, '');
  const fence = /^\\(restrict|unrestrict) ([A-Za-z0-9]+)$/.exec(text);
  if (fence) return { kind: fence[1] === 'restrict' ? 'restrict' : 'unrestrict', key: fence[2] ?? '' };
  const encoding = /^\\encoding ([A-Za-z0-9_-]+)$/.exec(text)?.[1];
  if (encoding !== undefined) return { kind: 'encoding', encoding };
  const target = /^\\(?:connect|c) (-reuse-previous=on )?(\S[^]*)$/.exec(text);
  const database = target === null ? undefined : databaseOf(target[2] ?? '', target[1] !== undefined);
  if (database !== undefined) return { kind: 'connect', database };
  return { kind: 'other', word: /^\\[A-Za-z_?!]*[^\s\w]?/.exec(text)?.[0].slice(0, 30) ?? '\\' };
}

/** @param parameters the argument is a connection string: only its database may be given */
function databaseOf(argument: string, parameters: boolean): string | undefined {
  const name = unquoted(argument);
  if (name === undefined) return undefined;
  if (parameters) {
    const value = /^dbname='((?:[^'\\]|\\[^])*)'$/.exec(name)?.[1];
    return value?.replace(/\\([^])/g, '$1');
  }
  // psql would read these as connection strings, to wherever they lead.
  return /=|^postgres(ql)?:\/\//.test(name) || name === '-' || name === '' ? undefined : name;
}

function unquoted(argument: string): string | undefined {
  if (/^[\w.\u0080-\uffff]+$/.test(argument)) return argument;
  const double = /^"((?:[^"]|"")*)"$/.exec(argument)?.[1];
  if (double !== undefined) return double.replaceAll('""', '"');
  // What Holdfast writes for a name with a line break: the same once more in single quotes, with escapes.
  const single = /^'((?:[^'\\]|''|\\[^])*)'$/.exec(argument)?.[1];
  if (single === undefined) return undefined;
  const inside = single.replace(/''|\\([^])/g, (_, escaped: string | undefined) =>
    escaped === undefined ? "'" : escaped === 'n' ? '\n' : escaped === 'r' ? '\r' : escaped,
  );
  return /^"((?:[^"]|"")*)"$/.exec(inside)?.[1]?.replaceAll('""', '"');
}
