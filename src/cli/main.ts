#!/usr/bin/env node
import process from 'node:process';
import { processContext } from './environment.ts';
import { runCommandLine } from './run-command-line.ts';

/** `holdfast backups list | head` closes the pipe: nobody reads any more, and that is no error. */
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await runCommandLine(process.argv.slice(2), processContext());
