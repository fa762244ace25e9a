/** What a worker registers: each export is a workflow under its name. */
export { adopt } from './adopt.ts';
export { backup } from './backup.ts';
export { cluster } from './cluster.ts';
export { prune } from './prune.ts';
export { restore } from './restore.ts';
