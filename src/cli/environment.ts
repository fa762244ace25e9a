import { userInfo } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from './context.ts';

/** This process as the commands see it. The only file of the command line that reads its environment. */
export function processContext(): Context {
  // It would write a line about Node 20 into every command's output.
  process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';
  return {
    environment: process.env,
    directory: process.cwd(),
    userName: userName(),
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    clock: {
      now: () => Date.now(),
      sleep: async (ms, signal) => {
        await sleep(ms, undefined, { signal }).catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
      },
    },
    onInterrupt: (handler) => {
      process.once('SIGINT', handler).once('SIGTERM', handler);
      return () => {
        process.off('SIGINT', handler).off('SIGTERM', handler);
      };
    },
  };
}

/** A container's user often has no name of its own. */
function userName(): string | undefined {
  try {
    return userInfo().username;
  } catch {
    return process.env['USER'] ?? process.env['LOGNAME'];
  }
}
