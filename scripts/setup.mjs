/**
 * Brings up what `npm run demo`, `npm test`, `npm run e2e` and `npm run bench` need, and nothing that is there already.
 *
 * Usage: node scripts/setup.mjs <demo|test|bench|e2e>
 *
 * Needs nothing but Node itself. Ends with 0 when all is there, 69 when something is missing that it may not or can't
 * get (it says what to do), 1 when an installation failed.
 */
import process from 'node:process';

const PURPOSES = ['demo', 'test', 'bench', 'e2e'];
const OLDEST_NODE = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  process.stderr.write(`node ${process.versions.node} is too old. Install Node.js ${OLDEST_NODE.join('.')} or newer\n`);
  process.exit(69);
}

const purpose = process.argv[2];
if (!PURPOSES.includes(purpose)) {
  process.stderr.write(
    `what to set up for is missing or unknown. Type: node scripts/setup.mjs <${PURPOSES.join('|')}>\n`,
  );
  process.exit(64);
}

const { endAll, Unavailable } = await import('./setup/run.mjs');
const { lockCache } = await import('./setup/lock.mjs');
const { chartProgramsMissing, installChartPrograms } = await import('./setup/chart-programs.mjs');
const { debianPackagesMissing, installDebianPackages } = await import('./setup/debian-packages.mjs');
const { installPackages, packagesMissing } = await import('./setup/node-packages.mjs');
const { installRoots, rootsExcused, rootsMissing } = await import('./setup/postgres-roots.mjs');
const { installTemporal } = await import('./setup/temporal.mjs');
const { installVersitygw } = await import('./setup/versitygw.mjs');
const { availableMajors, cacheDirectory, findTemporal, findVersitygw } = await import('./setup/places.mjs');

/** In this order: the Debian packages bring what the rest is made with, the npm packages the SDK's download. */
const needs = [
  { missing: () => nonEmpty(debianPackagesMissing(purpose)), install: installDebianPackages },
  { missing: packagesMissing, install: installPackages },
  { missing: () => findTemporal() === undefined, install: installTemporal },
  { missing: () => findVersitygw() === undefined, install: installVersitygw },
  { missing: () => purpose !== 'demo' && nonEmpty(rootsMissing()), install: installRoots },
  { missing: () => purpose === 'e2e' && nonEmpty(chartProgramsMissing()), install: installChartPrograms },
];

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, () => {
    void endAll().then(() => process.exit(code));
  });
}

try {
  if (needs.some(({ missing }) => missing())) await install();
  announce();
} catch (error) {
  process.stderr.write(`\nset-up stopped: ${error.message}\n`);
  process.exit(error instanceof Unavailable ? 69 : 1);
}

async function install() {
  process.stdout.write(`set-up for ${purpose} (kept in ${cacheDirectory()} and node_modules)\n`);
  const release = await lockCache();
  for (const need of needs) {
    const what = need.missing();
    if (what) await need.install(what);
  }
  await release();
}

function announce() {
  const temporal = findTemporal();
  const source = {
    given: `the Temporal server at ${temporal.address}`,
    path: `Temporal by ${temporal.binary} (on PATH)`,
    cache: `Temporal by ${temporal.binary} (cached)`,
  }[temporal.source];
  const excused = purpose === 'demo' ? [] : rootsExcused();
  const without = excused.length === 0 ? '' : `; without PostgreSQL ${excused.join(', ')}, whose tests are left out`;
  const seconds = (performance.now() / 1000).toFixed(1);
  process.stdout.write(
    `set-up: all there after ${seconds} s: ${source}, S3 by ${findVersitygw()}, PostgreSQL ${availableMajors().join(', ')}${without}\n`,
  );
}

function nonEmpty(list) {
  return list.length > 0 ? list : undefined;
}
