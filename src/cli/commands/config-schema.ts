import type { Command } from 'commander';
import { visibleJson } from '../spans.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addConfigSchema(parent: Command, shell: Shell): void {
  const command = parent
    .command('schema')
    .summary('print the JSON Schema of holdfast.yaml')
    .description('Prints the JSON Schema of holdfast.yaml, for editors and pipelines.')
    .action(async () => {
      const { configJsonSchema } = await import('../../domain/config.ts');
      shell.context.stdout.write(`${visibleJson(configJsonSchema())}\n`);
    });
  withExamples(command, [
    [
      'holdfast config schema > holdfast.schema.json',
      "then begin holdfast.yaml with '# yaml-language-server: $schema=holdfast.schema.json'",
    ],
  ]);
}
