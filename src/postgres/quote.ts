/** Text that goes into SQL, into a psql script or to libpq, so that it means itself there and nothing else. */

/** Always quoted, so that no list of keywords is needed. */
export const quoteIdent = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** A literal that means the same whatever standard_conforming_strings is. */
export function quoteLiteral(text: string): string {
  const quoted = text.replaceAll("'", "''");
  return quoted.includes('\\') ? `E'${quoted.replaceAll('\\', '\\\\')}'` : `'${quoted}'`;
}

/** A value in libpq's `keyword='value'` syntax. */
const quoteConninfo = (value: string) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** A database's name for a place where libpq would read connection parameters out of it. */
export const conninfoOf = (database: string) => `dbname=${quoteConninfo(database)}`;

/**
 * The line of a psql script that goes on in another database of the same server, whatever its name is. The form is
 * pg_dump's; a line break, which pg_dump refuses, is written by the C-like escapes that psql knows in single quotes.
 */
export function connectLine(database: string): string {
  const argument = `"${conninfoOf(database).replaceAll('"', '""')}"`;
  if (!/[\r\n]/.test(database)) return `\\connect -reuse-previous=on ${argument}\n`;
  const escaped = argument
    .replaceAll('\\', '\\\\')
    .replaceAll("'", "''")
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r');
  return `\\connect -reuse-previous=on '${escaped}'\n`;
}
