import everywhere from './jest.config.js';

/** Tests that need Kubernetes, or its tools: `npm run e2e` brings one up and runs them in its network. */
export default {
  ...everywhere,
  testMatch: ['<rootDir>/test/e2e/cluster/**/*.test.ts', '<rootDir>/test/charts/**/*.test.ts'],
  testPathIgnorePatterns: ['<rootDir>/test/e2e/cluster/alone/'],
  // Each waits most of its time for others: the operator, Temporal, the kubelet.
  maxWorkers: 2,
  // As there; what these wait for gives up by itself before, and says how it stood.
  testTimeout: 900_000,
};
