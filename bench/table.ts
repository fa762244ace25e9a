/** One row per figure: ours, theirs, their ratio, and the goal. */
export interface Figure {
  readonly name: string;
  readonly ours: number;
  /** What it is compared with; null where the goal is absolute. */
  readonly theirs: number | null;
  readonly unit: 's' | 'MB' | 'bytes';
  /** ours / theirs, or ours where there is nothing to compare with. */
  readonly ratio: number;
  /** null: measured to be known. */
  readonly goal: number | null;
  readonly met: boolean;
  /** Every measurement, in the order in which they were taken. */
  readonly runs: { readonly ours: readonly number[]; readonly theirs: readonly number[] };
}

export function figure(
  name: string,
  unit: Figure['unit'],
  goal: number | null,
  ours: readonly number[],
  theirs: readonly number[] = [],
): Figure {
  const own = median(ours);
  const other = theirs.length === 0 ? null : median(theirs);
  const ratio = other === null ? own : own / other;
  return {
    name,
    ours: round(own),
    theirs: other === null ? null : round(other),
    unit,
    ratio: round(ratio),
    goal,
    met: goal === null || ratio <= goal,
    runs: { ours: ours.map(round), theirs: theirs.map(round) },
  };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

const round = (value: number) => Math.round(value * 1000) / 1000;

export function printTable(figures: readonly Figure[]): void {
  const rows = [
    ['figure', 'ours', 'theirs', 'ratio', 'goal', ''],
    ...figures.map(({ name, ours, theirs, unit, ratio, goal, met }) => [
      name,
      `${ours.toFixed(2)} ${unit}`,
      theirs === null ? '–' : `${theirs.toFixed(2)} ${unit}`,
      theirs === null ? '–' : ratio.toFixed(2),
      goal === null ? '–' : `≤ ${String(goal)}${theirs === null ? ` ${unit}` : ''}`,
      goal === null ? '' : met ? 'met' : 'MISSED',
    ]),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('  '),
    );
}
