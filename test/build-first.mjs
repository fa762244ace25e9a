import { build } from '../scripts/build.mjs';

/** End-to-end tests run what users run: dist, built from the sources as they are now. */
export default async function buildFirst() {
  await build({ ifStale: true });
}
