/**
 * Text for a terminal. What comes from databases, files and other people's messages may hold anything: every text
 * passes through `visible` before it is written, and colours are put around it afterwards.
 */

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface Styled {
  readonly style: Style;
  readonly text: string;
}

export type Span = string | Styled;

export const styled = (style: Style, text: string): Styled => ({ style, text });

const openings: Readonly<Record<Style, string>> = {
  bold: '\u001b[1m',
  dim: '\u001b[2m',
  red: '\u001b[31m',
  green: '\u001b[32m',
  yellow: '\u001b[33m',
  cyan: '\u001b[36m',
};
const reset = '\u001b[0m';

/** Control characters, line separators, and what turns the direction of text or has no width. */
const dangerous = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** On one line, without a character that a terminal would obey. */
export const visible = (text: string): string => text.replace(dangerous, '\ufffd');

export const textOf = (span: Span): string => visible(typeof span === 'string' ? span : span.text);

/** Columns that it takes, as far as characters tell: wide ones count as one. */
export const widthOf = (spans: readonly Span[]): number =>
  spans.reduce((sum, span) => sum + Array.from(textOf(span)).length, 0);

export function render(spans: readonly Span[], colour: boolean): string {
  return spans
    .map((span) =>
      typeof span === 'string' || !colour ? textOf(span) : `${openings[span.style]}${textOf(span)}${reset}`,
    )
    .join('');
}

/** At most so many columns wide, with an ellipsis where something was cut off. */
export function clipped(spans: readonly Span[], columns: number): Span[] {
  const kept: Span[] = [];
  let left = columns;
  for (const span of spans) {
    const characters = Array.from(textOf(span));
    if (characters.length <= left) {
      kept.push(span);
      left -= characters.length;
      continue;
    }
    const text = `${characters.slice(0, Math.max(0, left - 1)).join('')}…`;
    if (left > 0) kept.push(typeof span === 'string' ? text : { ...span, text });
    break;
  }
  return kept;
}

/**
 * JSON that is safe to show: the characters that JSON.stringify leaves raw and a terminal would obey are written as
 * escapes, which changes nothing for a reader of JSON.
 */
export function visibleJson(value: unknown): string {
  return JSON.stringify(value, null, 2).replace(dangerous, (character) =>
    character === '\n' ? character : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
