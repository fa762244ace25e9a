import { tokenKind, type Tokens } from './statement.ts';

/** Whether rows follow the statement in the script: COPY … FROM stdin. To the server STDOUT means the same there. */
export function isCopyIn(buffer: Buffer, start: number, tokens: Tokens): boolean {
  if (!wordIs(buffer, start, tokens, 0, 'copy')) return false;
  let depth = 0;
  for (let at = 1; at < tokens.count; at += 1) {
    if (wordIs(buffer, start, tokens, at, '(')) depth += 1;
    // One too many counts as none, as psql counts: the server refuses the statement anyway.
    else if (wordIs(buffer, start, tokens, at, ')')) depth = Math.max(0, depth - 1);
    else if (depth === 0 && wordIs(buffer, start, tokens, at, 'from')) {
      if (wordIs(buffer, start, tokens, at + 1, 'stdin') || wordIs(buffer, start, tokens, at + 1, 'stdout'))
        return true;
    }
  }
  return false;
}

/** COPY name [(columns)] [WITH OIDS] FROM stdin: in text format, as pg_dump writes it, and nothing else. */
export function isPlainCopyIn(buffer: Buffer, start: number, tokens: Tokens): boolean {
  const is = (at: number, text: string) => wordIs(buffer, start, tokens, at, text);
  const isName = (at: number) =>
    tokens.kind(at) === tokenKind.word ||
    (tokens.kind(at) === tokenKind.identifier && buffer[start + tokens.start(at)] === 0x22);
  let at = 1;
  if (!isName(at)) return false;
  for (at += 1; is(at, '.'); at += 2) if (!isName(at + 1)) return false;
  if (is(at, '(')) {
    do {
      if (!isName(at + 1)) return false;
      at += 2;
    } while (is(at, ','));
    if (!is(at, ')')) return false;
    at += 1;
  }
  if (is(at, 'with') && is(at + 1, 'oids')) at += 2;
  return is(at, 'from') && is(at + 1, 'stdin') && at + 2 === tokens.count;
}

function wordIs(buffer: Buffer, start: number, tokens: Tokens, at: number, text: string): boolean {
  const kind = tokens.kind(at);
  if (kind !== tokenKind.word && kind !== tokenKind.symbol) return false;
  const from = start + tokens.start(at);
  const to = start + tokens.end(at);
  return to - from === text.length && buffer.toString('latin1', from, to).toLowerCase() === text;
}
