import type { Command } from 'commander';
import { withExamples, type Shell } from '../shell.ts';

export function addRepositoriesInit(parent: Command, shell: Shell): void {
  const command = parent
    .command('init')
    .summary('mark a directory as a repository')
    .description(
      'Puts the marker holdfast.json and a README into the directory, once. Workers trust a directory only with its marker: where a mount is missing, so is the marker, and nothing is written into the empty mount point. So run this while the right thing is mounted. Done again it changes nothing.',
    )
    .argument('<name>', 'the repository, as the configuration names it')
    .action(async (name: string, _options: unknown, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { repositorySpec } = await import('../../domain/specs.ts');
      const { initialiseDirectory } = await import('../../storage/initialise.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      const { directory } = repositorySpec(config, name);
      const { id, created } = await initialiseDirectory({ directory, now: new Date() });
      output.line(
        created
          ? `${directory} is now repository ${id}`
          : `${directory} is repository ${id} already; nothing was changed`,
      );
      output.document({ repository: name, directory, id, created });
    });
  withExamples(command, [['holdfast repositories init nas', 'once, while the share is mounted']]);
}
