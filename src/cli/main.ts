#!/usr/bin/env -S MALLOC_ARENA_MAX=2 UV_THREADPOOL_SIZE=8 node --max-semi-space-size=4
// What a process can't change of itself any more once it runs. Memory of many threads and of bytes passing through is
// used again sooner, which takes about 30 MB off a worker; and two files that wait for a slow disk's fsync leave threads
// for others.
import process from 'node:process';
import { processContext } from './environment.ts';
import { runCommandLine } from './run-command-line.ts';

/** `holdfast backups list | head` closes the pipe: nobody reads any more, and that is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), processContext());
