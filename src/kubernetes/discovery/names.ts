import type { Found } from './found.ts';

type Named = Pick<Found, 'namespace' | 'name' | 'kind'>;

/** One letter short of what the schema allows leaves no room for a suffix; policies are called `<cluster>-daily`. */
const longest = 63 - '-daily'.length;

/**
 * A name for each, within the rules of names in a configuration: the object's own, where two have the same the
 * namespace before it, then the kind after it, then a number. The same objects get the same names, in any order.
 */
export function namesFor(found: readonly Named[]): ReadonlyMap<Named, string> {
  const plain = counted(found, ({ name }) => fitting(name));
  const placed = counted(found, ({ namespace, name }) => fitting(`${namespace}-${name}`));
  const taken = new Set<string>();
  const names = new Map<Named, string>();
  const key = ({ namespace, name, kind }: Named) => `${namespace}/${name}/${kind}`;
  const inOrder = [...found].sort((one, other) => (key(one) < key(other) ? -1 : 1));
  // Those whose own name nobody else has keep it, whatever the others have to become.
  const own = inOrder.filter((one) => plain(one) === 1);
  const others = inOrder.filter((one) => plain(one) > 1);
  for (const one of own) give(one, fitting(one.name));
  for (const one of others) {
    const withPlace = `${one.namespace}-${one.name}`;
    give(one, fitting(placed(one) === 1 ? withPlace : `${withPlace}-${one.kind}`));
  }
  return names;

  function give(one: Named, wish: string) {
    let name = wish;
    for (let turn = 2; taken.has(name); turn += 1) {
      const suffix = `-${String(turn)}`;
      name = `${trimmed(wish.slice(0, longest - suffix.length))}${suffix}`;
    }
    taken.add(name);
    names.set(one, name);
  }
}

function counted(found: readonly Named[], nameOf: (one: Named) => string): (one: Named) => number {
  const counts = new Map<string, number>();
  for (const one of found) counts.set(nameOf(one), (counts.get(nameOf(one)) ?? 0) + 1);
  return (one) => counts.get(nameOf(one)) ?? 0;
}

/** Kubernetes' names have dots, and may be four times as long. */
export const fitting = (text: string) =>
  trimmed(
    text
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, '-')
      .slice(0, longest),
  ) || 'postgres';
const trimmed = (text: string) => text.replace(/^-+|-+$/g, '');
