/**
 * Settings that are lists of names: PostgreSQL keeps their items quoted as identifiers within the value, so that the
 * value can't be given back as one literal. No extension can define one; these are the core's (GUC_LIST_QUOTE), the
 * same that pg_dump knows.
 */
const listSettings = new Set([
  'local_preload_libraries',
  'search_path',
  'session_preload_libraries',
  'shared_preload_libraries',
  'temp_tablespaces',
  'unix_socket_directories',
]);

export const isListSetting = (name: string) => listSettings.has(name.toLowerCase());

/**
 * The items of `"$user", public`, unquoted; undefined for what is no such list. The reading is that of PostgreSQL's
 * own SplitGUCList: white space around items, quotes doubled inside quotes, nothing folded.
 */
export function splitList(value: string): readonly string[] | undefined {
  const items: string[] = [];
  const item = /[ \t\n\r\f\v]*(?:"((?:[^"]|"")+)"|("")|([^ \t\n\r\f\v,"][^ \t\n\r\f\v,]*))[ \t\n\r\f\v]*(,|$)/y;
  if (/^[ \t\n\r\f\v]*$/.test(value)) return [];
  for (;;) {
    const found = item.exec(value);
    if (!found) return undefined;
    const [, quoted, empty, bare, end] = found;
    items.push(empty === undefined ? (quoted?.replaceAll('""', '"') ?? bare ?? '') : '');
    if (end === '') return items;
  }
}
