import type { Backup } from '../domain/catalog.ts';
import type { Output } from './output.ts';
import { styled, type Span } from './spans.ts';

export type Facts = readonly (readonly [name: string, value: Span | readonly Span[]])[];

/** A line each, the values below each other. */
export function showFacts(output: Output, facts: Facts): void {
  for (const [name, value] of facts)
    output.line(
      styled('dim', `  ${name.padEnd(11)}`),
      ...(typeof value === 'string' || 'style' in value ? [value] : value),
    );
}

/** Of a verification, or of a drill. */
export function outcomeSpan(outcome: Backup['verification']): Span {
  switch (outcome) {
    case 'passed':
      return styled('green', 'passed');
    case 'failed':
      return styled('red', 'FAILED');
    case 'none':
      return styled('dim', 'not yet');
  }
}
