import { HoldfastError } from '../domain/errors.ts';
import type { DrillCheckResult } from '../domain/evidence.ts';
import { formatSeconds } from '../domain/format.ts';
import type { DrillResult } from '../workflows/drill.ts';
import type { Output } from './output.ts';
import { styled, type Span } from './spans.ts';

/**
 * How a drill went, a line for each check. One that failed is shown too, and then fails with DrillFailed.
 * @param outcome what the workflow drill returned, or its failure
 */
export async function showDrilled(output: Output, run: string, outcome: Promise<unknown>): Promise<void> {
  try {
    showResult(output, run, (await outcome) as DrillResult);
  } catch (error) {
    const result = resultIn(error);
    if (result) showResult(output, run, result);
    throw error;
  }
}

function showResult(output: Output, run: string, result: DrillResult): void {
  const { backup, outcome, restoreSeconds, dataAgeSeconds, checks } = result;
  output.document({ run, result: { backup, outcome, restoreSeconds, dataAgeSeconds, checks } });
  const measured = [
    restoreSeconds === null ? 'nothing that answers came of it' : `restored in ${formatSeconds(restoreSeconds)}`,
    ...(dataAgeSeconds === null ? [] : [`its data was ${formatSeconds(dataAgeSeconds)} old`]),
  ];
  output.line(
    outcome === 'passed' ? styled('green', 'passed') : styled('red', 'FAILED'),
    `  drill of ${backup}: ${measured.join(', ')}`,
  );
  if (checks.length > 0)
    output.table(
      ['CHECK', '', 'FOUND'],
      checks.map(({ name, outcome: how, detail }) => [name, checkSpan(how), detail]),
      '  ',
    );
}

/** A drill that failed puts its result into its failure; undefined: it failed before there was one. */
function resultIn(error: unknown): DrillResult | undefined {
  if (!(error instanceof HoldfastError) || error.type !== 'DrillFailed') return undefined;
  const { details } = (error.cause ?? {}) as { readonly details?: unknown };
  const [first] = Array.isArray(details) ? (details as readonly unknown[]) : [];
  return typeof first === 'object' && first !== null && 'checks' in first && Array.isArray(first.checks)
    ? (first as DrillResult)
    : undefined;
}

function checkSpan(outcome: DrillCheckResult['outcome']): Span {
  switch (outcome) {
    case 'passed':
      return styled('green', outcome);
    case 'failed':
      return styled('red', 'FAILED');
    case 'skipped':
      return styled('dim', outcome);
  }
}
