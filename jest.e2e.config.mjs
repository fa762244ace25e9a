import everywhere from './jest.config.js';

/** Tests that need Kubernetes, or its tools: `npm run e2e` brings one up and runs them in its network. */
export default {
  ...everywhere,
  testMatch: ['<rootDir>/test/e2e/cluster/**/*.test.ts', '<rootDir>/test/charts/**/*.test.ts'],
  testPathIgnorePatterns: [],
  // Some tests take away for a while what all of them share: the operator, the API server.
  maxWorkers: 1,
};
