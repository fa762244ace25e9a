/** How many steps two names may be apart and still be taken for a slip of the pen. */
const slips = 2;
const suggestedAtMost = 3;

/**
 * Tables that somebody who typed this one may have meant: the same name in another schema, another case, or a slip of
 * the pen. The nearest first. Pure.
 */
export function similarTables(
  [schema, table]: readonly [schema: string, table: string],
  known: readonly (readonly [schema: string, table: string])[],
): (readonly [string, string])[] {
  return known
    .map(([inSchema, name]) => {
      const letters = distance(table.toLowerCase(), name.toLowerCase());
      return { found: [inSchema, name] as const, apart: letters * 2 + (inSchema === schema ? 0 : 1), letters };
    })
    .filter(({ letters }) => letters <= Math.min(slips, Math.floor(table.length / 2)))
    .sort((a, b) => a.apart - b.apart)
    .slice(0, suggestedAtMost)
    .map(({ found }) => found);
}

export function similarNames(name: string, known: readonly string[]): string[] {
  return similarTables(
    ['', name],
    known.map((each) => ['', each] as const),
  ).map(([, found]) => found);
}

/** Levenshtein's, but never more than `slips` + 1. */
function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > slips) return slips + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min((row[j - 1] ?? 0) + same, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return Math.min(row[b.length] ?? 0, slips + 1);
}
