import type { Command } from 'commander';
import { withExamples, type Shell } from '../shell.ts';

export function addRepositoriesInit(parent: Command, shell: Shell): void {
  const command = parent
    .command('init')
    .summary('mark a directory or a bucket as a repository')
    .description(
      'Puts the marker holdfast.json and a README into the directory, or below the prefix of the S3 bucket, once. Workers trust a place only with its marker: where a mount is missing, so is the marker, and nothing is written into the empty mount point. So run this while the right thing is mounted. The bucket has to exist. Done again it changes nothing.',
    )
    .argument('<name>', 'the repository, as the configuration names it')
    .action(async (name: string, _options: unknown, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { repositoryPlace, repositorySpec } = await import('../../domain/specs.ts');
      const { initialiseRepository, openRepository } = await import('../../storage/open.ts');
      const { secretReader } = await import('../../worker/secrets.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      const spec = repositorySpec(config, name);
      const place = repositoryPlace(spec);
      const readSecret = secretReader(shell.context.environment);
      const { id, created } = await initialiseRepository(spec, readSecret, {
        now: new Date(shell.context.clock.now()),
      });
      output.line(
        created ? `${place} is now repository ${id}` : `${place} is repository ${id} already; nothing was changed`,
      );
      const { warnings } = await openRepository(spec, readSecret).check();
      for (const warning of warnings) output.warn(warning);
      output.document({ repository: name, place, id, created, warnings });
    });
  withExamples(command, [['holdfast repositories init nas', 'once, while the share is mounted']]);
}
