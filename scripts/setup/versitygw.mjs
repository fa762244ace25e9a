/** An S3 server in the cache, built from source: the demo, the tests and the bench store into it. */
import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cachedVersitygw, findGo } from './places.mjs';
import { say, step } from './progress.mjs';
import { run, Unavailable } from './run.mjs';
import { inWorkshop } from './workshop.mjs';

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';

/** Leaves a whole `versitygw` in the cache or nothing: it is made beside and moved into place. */
export async function installVersitygw() {
  const go = findGo();
  if (go === undefined) {
    throw new Unavailable(
      [
        'missing: an S3 server. There is no `versitygw` and no Go to build it. One of these helps:',
        '  - install the `versitygw` command (https://github.com/versity/versitygw/releases) and put it on PATH',
        '  - install Go 1.25 or newer, then run this again: it builds the server once, in about a minute',
      ].join('\n'),
    );
  }
  const target = cachedVersitygw();
  await inWorkshop(dirname(target), async (workshop) => {
    say('building an S3 server from source takes about a minute, once');
    await step(`S3 server, go install ${MODULE}`, async () => {
      await run(go, ['install', MODULE], { env: { GOBIN: workshop, GOTMPDIR: workshop } });
    });
    renameSync(join(workshop, 'versitygw'), target);
    await run(target, ['--version']);
  });
}
