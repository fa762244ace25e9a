/** How this machine gets at Debian's archive: for trees of packages of other releases. */
import { run } from './run.mjs';

/**
 * The mirror and the validity checks that this machine's own apt is set to, as mmdebstrap takes them; elsewhere
 * nothing, which means mmdebstrap's own defaults.
 */
export async function aptHabits() {
  const dump = await run('apt-config', ['dump']);
  const options = dump.split('\n').filter((line) => /^Acquire::(Check-Valid-Until|Check-Date) /.test(line));
  const format = '$(ORIGIN)|$(CREATED_BY)|$(COMPONENT)|$(SUITE)|$(REPO_URI)';
  const targets = (await run('apt-get', ['indextargets', '--format', format]))
    .split('\n')
    .map((line) => line.split('|'));
  const main = targets.find(
    ([origin, kind, component, suite]) =>
      origin === 'Debian' && kind === 'Packages' && component === 'main' && !suite.includes('-'),
  );
  return { mirror: main === undefined ? [] : [main[4]], options: options.map((option) => option.replace(/;$/, '')) };
}
