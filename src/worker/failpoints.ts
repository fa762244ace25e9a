import { Context } from '@temporalio/activity';
import { HoldfastError } from '../domain/errors.ts';

/**
 * Named places at which a test makes the worker die, fail or wait: `HOLDFAST_FAILPOINTS=take:staged=kill`, several
 * separated by commas; `wait` ends with the activity's cancellation. Without the variable they do nothing.
 */
export function failpoints(setting: string | undefined): (name: string) => Promise<void> {
  const armed = new Map(
    (setting ?? '').split(',').flatMap((entry) => {
      const at = entry.lastIndexOf('=');
      return at > 0 ? [[entry.slice(0, at), entry.slice(at + 1)] as const] : [];
    }),
  );
  return async (name) => {
    const action = armed.get(name);
    if (action === undefined) return;
    switch (action) {
      case 'kill':
        process.kill(process.pid, 'SIGKILL');
        await forEver();
        return;
      case 'fail':
        throw new HoldfastError(
          'Unexpected',
          `failpoint ${name} was hit`,
          'unset HOLDFAST_FAILPOINTS: it is for tests',
        );
      case 'wait':
        await Context.current().cancelled;
        return;
      default:
        throw new HoldfastError(
          'Unexpected',
          `failpoint ${name} has an unknown action '${action}'`,
          'use kill, fail or wait',
        );
    }
  };
}

const forEver = () => new Promise<void>(() => undefined);
