/** A Temporal server binary in the cache: the SDK's download, else a build from source. */
import { readdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import process from 'node:process';
import { cachedTemporal, findGo } from './places.mjs';
import { say, step } from './progress.mjs';
import { run, Unavailable } from './run.mjs';
import { inWorkshop } from './workshop.mjs';

/** The newest tag that `go install` takes (later ones have a `replace` in their go.mod). */
const MODULE = 'github.com/temporalio/cli/cmd/temporal@v1.5.1';
const DOWNLOAD_TIMEOUT_MS = 20_000;

/** Leaves a whole `temporal` in the cache or nothing: it is made beside and moved into place. */
export async function installTemporal() {
  const target = cachedTemporal();
  await inWorkshop(dirname(target), async (workshop) => {
    if (!(await download(workshop))) await build(workshop);
    renameSync(join(workshop, 'temporal'), target);
  });
}

async function download(workshop) {
  try {
    await step('Temporal server, the SDK’s download', async () => {
      const script = fileURLToPath(new URL('download-temporal.mjs', import.meta.url));
      await run(process.execPath, [script, workshop], { timeoutMs: DOWNLOAD_TIMEOUT_MS });
      const [file] = readdirSync(workshop);
      renameSync(join(workshop, file), join(workshop, 'temporal'));
    });
    return true;
  } catch {
    return false;
  }
}

async function build(workshop) {
  const go = findGo();
  if (go === undefined) {
    throw new Unavailable(
      [
        'missing: a Temporal server. The SDK’s download did not work from here and there is no Go to build it. One of these helps:',
        '  - install the `temporal` command (https://docs.temporal.io/cli) and put it on PATH',
        '  - install Go 1.25 or newer, then run this again: it builds the server once, in about 3 minutes',
        '  - run a Temporal server elsewhere and set TEMPORAL_ADDRESS=host:7233',
      ].join('\n'),
    );
  }
  say('building a Temporal server from source takes about 3 minutes, once');
  await step(`Temporal server, go install ${MODULE}`, async () => {
    await run(go, ['install', MODULE], { env: { GOBIN: workshop, GOTMPDIR: workshop } });
  });
}
