import type { Output } from './output.ts';
import { styled, type Span } from './spans.ts';

/** The Markdown that plans are written in, for a terminal: headings, bold, code, lists and fences, no more. */
export function showMarkdown(output: Output, markdown: string, indent = ''): void {
  let fenced = false;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced;
    else if (fenced) output.line(`${indent}  `, styled('cyan', line));
    else if (line.startsWith('#')) output.line(indent, styled('bold', line.replace(/^#+\s*/, '').replaceAll('`', '')));
    else output.line(indent, ...inline(line));
  }
}

/** `**bold**`, `` `code` `` and ``` ``co`de`` ```; what is neither stays as it is. */
export function inline(line: string): Span[] {
  return line
    .split(/(\*\*[^*]+\*\*|``.+?``|`[^`]+`)/)
    .filter((piece) => piece !== '')
    .map((piece) => {
      if (piece.startsWith('**') && piece.length > 4) return styled('bold', piece.slice(2, -2));
      if (piece.startsWith('``') && piece.length > 4) return styled('cyan', piece.slice(2, -2));
      if (piece.startsWith('`') && piece.length > 2) return styled('cyan', piece.slice(1, -1));
      return piece;
    });
}
