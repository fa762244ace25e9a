import { lstat, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mayWrite, type VolumeSeen, type Workload } from '../../domain/workload.ts';

/** Looks at the volume of a StatefulSet from a pod that has mounted it. Changes nothing. */
export async function lookAtVolume({
  dataDirectory,
  mountPath,
  fsGroup,
}: Pick<Workload, 'dataDirectory' | 'mountPath' | 'fsGroup'>): Promise<VolumeSeen> {
  const data = await unlessHidden(stat(dataDirectory));
  const owner = data === null ? null : { uid: data.uid, gid: data.gid };
  const beside = await unlessHidden(stat(dirname(dataDirectory)));
  const wal = await unlessHidden(lstat(join(dataDirectory, 'pg_wal')));
  return {
    owner,
    mayMakeBeside:
      dataDirectory === mountPath ||
      (owner === null || beside === null ? null : mayWrite(beside, owner, fsGroup === null ? [] : [fsGroup])),
    walElsewhere: wal === null ? null : wal.isSymbolicLink(),
  };
}

/** Of another user's directory little can be seen, and of one that isn't there nothing. */
async function unlessHidden<T>(look: Promise<T>): Promise<T | null> {
  try {
    return await look;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['EACCES', 'EPERM', 'ENOENT', 'ENOTDIR'].includes(code)) return null;
    throw error;
  }
}
