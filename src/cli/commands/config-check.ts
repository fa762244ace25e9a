import type { Command } from 'commander';
import { withExamples, type Shell } from '../shell.ts';

export function addConfigCheck(parent: Command, shell: Shell): void {
  const command = parent
    .command('check')
    .summary('read the configuration and say what it means')
    .description(
      'Reads the configuration file and prints what was understood: clusters, repositories, policies and their next three runs. What is wrong is listed as `path: message`. Connects to nothing.',
    )
    .action(async (_options: unknown, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { configDocument, showConfig } = await import('../show-config.ts');
      const loaded = await loadConfiguration(shell.context, configFile);
      const now = new Date(shell.context.clock.now());
      showConfig(output, loaded, now);
      output.document(configDocument(loaded, now));
    });
  withExamples(command, [
    ['holdfast config check', 'checks ./holdfast.yaml, else /etc/holdfast/holdfast.yaml'],
    ['holdfast config check --config overlays/prod/holdfast.yaml --json', 'checks another file, for a pipeline'],
  ]);
}
