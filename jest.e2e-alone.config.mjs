import e2e from './jest.e2e.config.mjs';

/** Tests that take away for a while what all others share: the operator, the API server. They run after those, alone. */
export default {
  ...e2e,
  testMatch: ['<rootDir>/test/e2e/cluster/alone/**/*.test.ts'],
  testPathIgnorePatterns: [],
  maxWorkers: 1,
};
