/** The rooms of the engine and who may import whom. Domain decides, workflows order, activities do. */

const rooms = 'domain|workflows|activities|process|streams|storage|postgres|kubernetes|worker|client|cli|console';

/** A room that touches the world: itself, domain, process and the neighbours named; no Temporal. */
function worldly(name, ...neighbours) {
  const allowed = [name, 'domain', 'process', ...neighbours].join('|');
  return {
    name: `${name}-keeps-to-itself`,
    comment: `${name} imports only ${allowed.replaceAll('|', ', ')} of our rooms`,
    severity: 'error',
    from: { path: `^src/${name}/` },
    to: { path: `^src/(${rooms})/`, pathNot: `^src/(${allowed})/` },
  };
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'domain-is-pure',
      comment: 'domain imports only domain, zod and @noble: no I/O, no Temporal',
      severity: 'error',
      from: { path: '^src/domain/' },
      to: { pathNot: ['^src/domain/', 'node_modules/zod/', 'node_modules/@noble/'] },
    },
    {
      name: 'workflows-only-decide',
      comment: "workflows import workflows, domain and Temporal's workflow package; activities as types only",
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: {
        pathNot: ['^src/(workflows|domain)/', 'node_modules/@temporalio/(workflow|common)/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'workflows-borrow-types-of-activities-alone',
      comment: 'even as types, workflows know only activities beyond their own imports',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { path: `^src/(${rooms})/`, pathNot: '^src/(workflows|domain|activities)/' },
    },
    {
      name: 'workflows-take-single-domain-files',
      comment: 'a barrel makes the workflow bundle large',
      severity: 'error',
      from: { path: '^src/workflows/' },
      to: { path: '^src/domain/index[.]ts$' },
    },
    worldly('process'),
    worldly('streams'),
    worldly('storage', 'streams'),
    worldly('postgres', 'streams'),
    worldly('kubernetes'),
    {
      name: 'temporal-has-its-rooms',
      comment: 'only activities, workflows, worker, client and the cli over them know Temporal',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(activities|workflows|worker|client|cli)/' },
      to: { path: 'node_modules/@temporalio/' },
    },
    {
      name: 'nobody-imports-the-cli',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/cli/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'client-asks-only',
      comment: 'the client starts, decides and describes; it never does the work itself',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: '^src/(activities|postgres|storage|streams|kubernetes|worker)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'sources-know-no-tests',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|parts|demo|bench|scripts)/' },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'not-to-dev-dependencies',
      comment: 'what runs in production is listed under dependencies',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
