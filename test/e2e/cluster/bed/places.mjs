/** Where the bed lies. All of it is below one directory, and its name tells it from the beds of other caches. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { cacheDirectory } from '../../../../scripts/setup/places.mjs';

const top = join(cacheDirectory(), 'cluster');

export const places = {
  top,
  /** What was built: kept. */
  bin: join(top, 'bin'),
  build: join(top, 'build'),
  images: join(top, 'images'),
  manifests: join(top, 'manifests'),
  log: join(top, 'log'),
  /** What the cluster holds: etcd, certificates, containers, volumes, buckets. */
  state: join(top, 'state'),
  /** Sockets and whatever else lives no longer than the cluster's processes. */
  run: join(top, 'run'),
};

/** Such as holdfast-1a2b3c4d: the name of the cluster's control group, the same for the same cache directory. */
export const bedName = `holdfast-${createHash('sha256').update(top).digest('hex').slice(0, 8)}`;
