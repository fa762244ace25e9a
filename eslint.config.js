import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

const ROOMS = [
  'domain',
  'workflows',
  'activities',
  'process',
  'streams',
  'storage',
  'postgres',
  'kubernetes',
  'worker',
  'client',
  'cli',
];

const inWorkflows =
  'workflows run in a sandbox without Node and replay: they decide and wait. What touches the world goes into an activity.';

/** `no-restricted-imports` for one room; .dependency-cruiser.cjs has the whole truth, this one speaks in the editor. */
function room(name, patterns) {
  return {
    files: [`src/${name}/**/*.ts`],
    rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] },
  };
}

function roomsBut(...allowed) {
  return ROOMS.filter((name) => !allowed.includes(name)).map((name) => `**/${name}/**`);
}

/** Rooms that touch the world know neither Temporal nor, beyond what is allowed, each other. */
function worldly(name, ...neighbours) {
  return room(name, [
    {
      group: ['@temporalio/*'],
      message: `${name} doesn't know Temporal. Activities, workflows, worker and client do.`,
    },
    { group: roomsBut(name, 'domain', 'process', ...neighbours), message: `${name} may not import this room.` },
  ]);
}

export default defineConfig(
  globalIgnores(['dist/', 'dist.*/', 'coverage/', 'node_modules/']),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
  },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/cli/environment.ts', 'src/process/environment.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message:
            'The environment is read in two files (src/cli/environment.ts, src/process/environment.ts) and handed in.',
        },
      ],
    },
  },
  {
    files: ['src/cli/**/*.ts', 'demo/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  room('domain', [
    { group: ['node:*', '@temporalio/*'], message: 'domain is pure: no I/O, no Temporal.' },
    { group: roomsBut('domain'), message: 'domain imports no other room.' },
  ]),
  room('workflows', [
    { group: ['node:*'], message: inWorkflows },
    {
      group: ['@temporalio/*', '!@temporalio/workflow', '!@temporalio/common'],
      message: inWorkflows,
      allowTypeImports: true,
    },
    { group: ['**/activities/**'], message: 'workflows know activities as types only.', allowTypeImports: true },
    { group: roomsBut('workflows', 'domain', 'activities'), message: inWorkflows },
  ]),
  worldly('process'),
  worldly('streams'),
  worldly('storage', 'streams'),
  worldly('postgres', 'streams'),
  worldly('kubernetes'),
  {
    // Its objects are plain JSON. The library's classes only name their shapes, and are loaded with a connection.
    files: ['src/kubernetes/**/*.ts'],
    rules: { '@typescript-eslint/no-unsafe-class-instance-assignment': 'off' },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    extends: [tseslint.configs.strict, tseslint.configs.stylistic],
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
);
