import { chown, mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { formatBytes } from '../../domain/format.ts';
import { ToolFailure } from '../../process/chain.ts';
import { createInstance } from '../instance/create.ts';
import { whomToBecome, type RunAs } from '../instance/run-as.ts';
import { allowedSettings } from '../instance/settings.ts';
import { serverOf, startInstance } from '../instance/start.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { placeError, type DrillPlace } from './place.ts';
import { lacksLocale, localeMissing, type ScratchServer, type ServerWish } from './scratch-server.ts';

export interface LocalGround {
  readonly place: DrillPlace;
  readonly programs: ServerPrograms;
  readonly runAs: RunAs | undefined;
  readonly signal: AbortSignal;
}

/** Nobody listens there: it only names the socket, which lies in a directory of the drill's own. */
export const drillPort = 5432;

const here = {
  where: "the worker's machine",
  cure: 'install it there (Debian: locale-gen for a locale), or run the drill on a worker that has it: nothing was learned of the backup',
};
const largerDirectory = 'give the worker a larger directory for instances';

/**
 * Makes an empty server of the backup's own major version in a drill's place. Fails with ToolMissing (a locale),
 * StoreFull at once and not after an hour, and whatever else keeps it from being made.
 */
export async function makeLocalServer(ground: LocalGround, wish: ServerWish): Promise<ScratchServer> {
  const { place, programs, runAs, signal } = ground;
  const { dataDirectory, socketDirectory, logFile } = place;
  await assertRoom(wish, place.directory);
  const { superuser, encoding, locale } = wish;
  try {
    await createInstance({
      ...{ programs, dataDirectory, runAs, superuser, signal },
      ...(encoding === '' ? {} : { encoding }),
      ...(locale.collate === '' ? {} : { locale: locale.collate }),
    });
  } catch (error) {
    if (!(error instanceof ToolFailure) || !lacksLocale(error.exit.stderr)) throw error;
    throw localeMissing(locale.collate, here, error);
  }
  const { settings } = allowedSettings({ programs, source: {}, control: {}, preload: wish.preload });
  try {
    const instance = await startInstance(
      { ...{ programs, dataDirectory, socketDirectory, logFile, runAs, settings }, port: drillPort },
      { signal },
    );
    return {
      ...here,
      server: serverOf(instance, { user: superuser, database: 'postgres' }),
      versionNum: wish.versionNum,
      disk: { name: place.directory, cure: largerDirectory },
      tablespaces: place.tablespaces,
      tablespaceDirectory: (index) => makeOwn(join(place.tablespaces, String(index + 1)), runAs),
    };
  } catch (error) {
    // Nothing of the backup is in it yet.
    if (!(error instanceof HoldfastError) || error.type !== 'RestoreFailed') throw error;
    throw new HoldfastError('ToolFailed', error.message, error.hint, { cause: error });
  }
}

async function assertRoom({ bytes }: ServerWish, directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  if (bavail * bsize >= bytes) return;
  throw new HoldfastError(
    'StoreFull',
    `${directory} has ${formatBytes(bavail * bsize)} free, the backup's databases took ${formatBytes(bytes)}`,
    largerDirectory,
  );
}

async function makeOwn(directory: string, runAs: RunAs | undefined): Promise<string> {
  const owner = whomToBecome(runAs);
  try {
    await mkdir(directory, { mode: 0o700 });
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    return directory;
  } catch (error) {
    throw placeError(error, directory);
  }
}
