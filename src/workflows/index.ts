/** What a worker registers: each export is a workflow under its name. */
export { adopt } from './adopt.ts';
export { archiveWal } from './archive-wal.ts';
export { backup } from './backup.ts';
export { cluster } from './cluster.ts';
export { drill } from './drill.ts';
export { prune } from './prune.ts';
export { recover } from './recover.ts';
export { restore } from './restore.ts';
