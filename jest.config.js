/** Tests mirror src; those of real servers (parts, e2e) run in the same go. Those of Kubernetes: jest.e2e.config.mjs. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  testPathIgnorePatterns: ['<rootDir>/test/e2e/cluster/', '<rootDir>/test/charts/'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2023', parser: { syntax: 'typescript' } },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  globalSetup: '<rootDir>/test/build-first.mjs',
  // More than a small machine has cores: what takes longest waits for Temporal to miss a worker that was killed.
  maxWorkers: 3,
  // What hangs ends some time; how long a test may take on a busy machine is nothing that it says.
  testTimeout: 300_000,
};
