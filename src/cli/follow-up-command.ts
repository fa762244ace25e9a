import type { Command } from 'commander';
import type { FollowUpVerb } from '../domain/decision.ts';
import type { FollowedUp } from './following-up.ts';
import { words } from './options.ts';
import { withExamples, type Example, type Shell } from './shell.ts';
import { addTargetOptions, type TargetOptions } from './target-options.ts';

export interface FollowUpCommand {
  readonly kind: FollowedUp;
  readonly verb: FollowUpVerb;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly Example[];
}

interface Options {
  readonly by?: string;
  readonly reason: string;
}

/** A command that asks a run for more, once something is done: `holdfast restore undo RUN --reason …`. */
export function addFollowUp(parent: Command, shell: Shell, wanted: FollowUpCommand): void {
  const { kind, verb } = wanted;
  const command = parent
    .command(verb)
    .summary(wanted.summary)
    .description(wanted.description)
    .argument('<run>', `the ${kind === 'restore' ? 'restore' : 'recovery'}, as status lists it`);
  if (verb === 'go-on') addTargetOptions(command);
  command
    .option('--by <name>', 'who asks for it; a declaration that nobody checks (default: your user name)', words)
    .requiredOption('--reason <text>', 'why', words)
    .action(async (run: string, options: Options, self: Command) => {
      const { by, reason } = options;
      const { followUp } = await import('./following-up.ts');
      const { targetOf } = await import('./recovery-target.ts');
      shell.exitCode = await followUp(shell.context, shell.call(self).output, {
        kind,
        verb,
        run,
        reason,
        ...(by === undefined ? {} : { by }),
        ...(verb === 'go-on' ? { target: targetOf(self.optsWithGlobals<TargetOptions>()) } : {}),
      });
    });
  withExamples(command, wanted.examples);
}

/**
 * Commander hears a command's options behind its subcommand too; the subcommand would silently ignore them. Those that
 * it has itself it reads from there.
 */
export function refuseOwnOptions(self: Command, subcommand: Command): void {
  const given = self.options.find(
    (option) =>
      self.getOptionValueSource(option.attributeName()) === 'cli' &&
      !subcommand.options.some(({ long }) => long === option.long),
  );
  if (given) subcommand.error(`error: unknown option '${given.long ?? given.flags}'`);
}
