import { build } from '../scripts/build.mjs';

/**
 * End-to-end tests run what users run: dist, built from the sources as they are now. A run that is limited to other
 * tests doesn't wait for it.
 */
export default async function buildFirst({ testPathPatterns }) {
  const patterns = testPathPatterns?.patterns ?? [];
  if (patterns.length === 0 || patterns.some((pattern) => /e2e|replay/.test(pattern))) await build({ ifStale: true });
}
