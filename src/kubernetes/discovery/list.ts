import { HoldfastError } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { asked, found, statusCodeOf } from '../failures.ts';
import type { Listed, Unread } from './found.ts';
import { builtInResources, customResources, type Page, type PageRequest, type Resource } from './resources.ts';

/** Everything that may be read, and what may not. */
export interface Listing<Kinds extends keyof Listed = keyof Listed> {
  readonly listed: Pick<Listed, Kinds>;
  readonly namespaces: readonly string[];
  readonly unread: readonly Unread[];
  /** Whether anything of what is looked for could have been seen at all. */
  readonly looked: boolean;
}

/** Where to look: in these namespaces; by default in all, and where those may not be listed, in `home`. */
export interface Where {
  readonly namespaces?: readonly string[] | undefined;
  readonly home: string;
}

/**
 * Lists what discovery reads, never Secrets. Each kind of objects that may not be listed is named in `unread`, and the others are read all the same.
 * InvalidArgument where a namespace isn't there; KubernetesUnavailable and KubernetesRefused as `asked` says.
 */
export async function listEverything(
  kubernetes: Pick<Kubernetes, 'core' | 'apps' | 'custom'>,
  where: Where,
): Promise<Listing> {
  const unread: Unread[] = [];
  const { namespaces, all } = await namespacesOf(kubernetes.core, where, unread);
  const { statefulSets, deployments, pods, services, claims } = builtInResources(kubernetes);
  const { clusters, scheduledBackups, poolers, objectStores } = customResources(kubernetes.custom);
  const served = servedBy(kubernetes.custom);
  const list = <Item>(resource: Resource<Item>) => listOne(resource, namespaces, all, unread);
  const listServed = async (resource: ReturnType<typeof customResources>['clusters']) =>
    (await served(resource, unread)) ? await list(resource) : nothing;
  const [setsOf, deploymentsOf, podsOf, servicesOf, claimsOf, clustersOf, schedulesOf, poolersOf, storesOf] =
    await Promise.all([
      list(statefulSets),
      list(deployments),
      list(pods),
      list(services),
      list(claims),
      listServed(clusters),
      listServed(scheduledBackups),
      listServed(poolers),
      listServed(objectStores),
    ]);
  return {
    listed: {
      statefulSets: setsOf.items,
      deployments: deploymentsOf.items,
      pods: podsOf.items,
      services: servicesOf.items,
      claims: claimsOf.items,
      clusters: clustersOf.items,
      scheduledBackups: schedulesOf.items,
      poolers: poolersOf.items,
      objectStores: storesOf.items,
    },
    namespaces,
    unread: unread.sort(byWhat),
    looked: [setsOf, deploymentsOf, podsOf, clustersOf].some(({ allowed }) => allowed),
  };
}

/** ScheduledBackups, and the Clusters and ObjectStores that say more about them; otherwise as listEverything. */
export async function listScheduledBackups(
  kubernetes: Pick<Kubernetes, 'core' | 'custom'>,
  where: Where,
): Promise<Listing<'scheduledBackups' | 'clusters' | 'objectStores'>> {
  const unread: Unread[] = [];
  const { namespaces, all } = await namespacesOf(kubernetes.core, where, unread);
  const { clusters, scheduledBackups, objectStores } = customResources(kubernetes.custom);
  const served = servedBy(kubernetes.custom);
  const list = async (resource: typeof clusters) =>
    (await served(resource, unread)) ? await listOne(resource, namespaces, all, unread) : nothing;
  const isServed = await served(scheduledBackups, unread);
  // Without CloudNativePG there are none, and that is seen.
  const looked = !isServed && unread.length === 0;
  const [schedulesOf, clustersOf, storesOf] = await Promise.all([scheduledBackups, clusters, objectStores].map(list));
  return {
    listed: {
      scheduledBackups: schedulesOf?.items ?? [],
      clusters: clustersOf?.items ?? [],
      objectStores: storesOf?.items ?? [],
    },
    namespaces,
    unread: unread.sort(byWhat),
    looked: looked || schedulesOf?.allowed === true,
  };
}

const byWhat = (one: Unread, other: Unread) => (one.what < other.what ? -1 : 1);

/** A kind that the API server doesn't have. */
const nothing = { items: [], allowed: false } as const;

const pageSize = 250;

async function namespacesOf(
  core: Kubernetes['core'],
  { namespaces: given, home }: Where,
  unread: Unread[],
): Promise<{ readonly namespaces: readonly string[]; readonly all: boolean }> {
  if (given !== undefined) {
    const namespaces = [...new Set(given)].sort();
    for (const name of namespaces) await assertThere(core, name);
    return { namespaces, all: false };
  }
  const listed = await ifAllowed(() =>
    allPages('namespaces', async (page) => {
      const { items, metadata } = await core.listNamespace(page);
      return { items, next: metadata?._continue };
    }),
  );
  if (listed !== undefined)
    return { namespaces: listed.flatMap(({ metadata }) => metadata?.name ?? []).sort(), all: true };
  unread.push({
    what: `all namespaces but ${home}`,
    why: 'the credentials may not list namespaces',
    hint: 'name those that you mean with --namespace, or grant list on namespaces in a ClusterRole',
  });
  return { namespaces: [home], all: false };
}

/** A list in a namespace that isn't there is empty, and no error. */
async function assertThere(core: Kubernetes['core'], name: string): Promise<void> {
  const there = await ifAllowed(async () => ({
    namespace: await found(`read Namespace ${name}`, core.readNamespace({ name })),
  }));
  // Who may not look can't be told.
  if (there !== undefined && there.namespace === undefined)
    throw new HoldfastError(
      'InvalidArgument',
      `there is no namespace '${name}'`,
      'look the names up: kubectl get namespaces',
    );
}

async function listOne<Item>(
  resource: Resource<Item>,
  namespaces: readonly string[],
  all: boolean,
  unread: Unread[],
): Promise<{ readonly items: readonly Item[]; readonly allowed: boolean }> {
  if (all) {
    const items = await ifAllowed(() => allPages(resource.inWords, (page) => resource.everywhere(page)));
    if (items !== undefined) return { items, allowed: true };
  }
  const items: Item[] = [];
  const refused: string[] = [];
  for (const namespace of namespaces) {
    const some = await ifAllowed(() =>
      allPages(`${resource.inWords} in namespace ${namespace}`, (page) => resource.inNamespace(namespace, page)),
    );
    if (some === undefined) refused.push(namespace);
    else items.push(...some);
  }
  if (refused.length > 0)
    unread.push({
      what: `${resource.inWords} in namespace${refused.length === 1 ? '' : 's'} ${listedShort(refused)}`,
      why: `the credentials may not list ${resource.rule} there`,
      hint: `grant the verb list on ${resource.rule} in a Role there, or in a ClusterRole for all namespaces`,
    });
  return { items, allowed: refused.length < namespaces.length };
}

function listedShort(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(', ');
  return names.length <= 10 ? shown : `${shown} and ${String(names.length - 10)} more`;
}

/** Whether the API server has a kind: asks for each API once. */
function servedBy(custom: Kubernetes['custom']) {
  const answers = new Map<string, Promise<ReadonlySet<string>>>();
  return async (
    { group, version, plural }: { readonly group: string; readonly version: string; readonly plural: string },
    unread: Unread[],
  ): Promise<boolean> => {
    const api = `${group}/${version}`;
    const ask = async () => {
      const list = await ifAllowed(async () => ({
        resources: await found(`look up what ${api} serves`, custom.getAPIResources({ group, version })),
      }));
      if (list === undefined)
        unread.push({
          what: `objects of ${group}`,
          why: 'the credentials may not ask the API server what it serves',
          hint: 'bind the ClusterRole system:discovery, which everybody has who is authenticated',
        });
      return new Set((list?.resources?.resources ?? []).map(({ name }) => name));
    };
    const answer = answers.get(api) ?? ask();
    answers.set(api, answer);
    return (await answer).has(plural);
  };
}

const triesAtMost = 3;

/** Where the server has forgotten how far a list had come, it begins again. */
async function allPages<Item>(what: string, ask: (page: PageRequest) => Promise<Page<Item>>): Promise<Item[]> {
  for (let turn = 1; ; turn += 1) {
    try {
      return await onceThrough(what, ask);
    } catch (error) {
      if (statusOf(error) !== 410 || turn === triesAtMost) throw error;
    }
  }
}

async function onceThrough<Item>(what: string, ask: (page: PageRequest) => Promise<Page<Item>>): Promise<Item[]> {
  const items: Item[] = [];
  let next = '';
  do {
    const before = next;
    const page = await asked(`list ${what}`, ask({ limit: pageSize, ...(next === '' ? {} : { _continue: next }) }));
    items.push(...page.items);
    next = page.next ?? '';
    if (next !== '' && next === before)
      throw new HoldfastError(
        'KubernetesUnavailable',
        `can't list ${what}: the API server answers the same page again`,
        'look at the API server, or at what stands before it',
      );
  } while (next !== '');
  return items;
}

/** undefined: the credentials don't reach so far. */
async function ifAllowed<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (statusOf(error) === 403) return undefined;
    throw error;
  }
}

const statusOf = (error: unknown): number | undefined =>
  error instanceof HoldfastError ? statusCodeOf(error.cause) : undefined;
