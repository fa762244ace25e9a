/**
 * A second reader of psql scripts, slow and simple, over a whole string: to compare with. One regular expression for
 * each kind of token; standard_conforming_strings is on.
 */
export interface ReferencePiece {
  readonly kind: 'statement' | 'meta' | 'rows';
  readonly from: number;
  readonly to: number;
}

const skipped = /(?:[ \t\n\r\f]|--[^\n\r]*)+/y;
const tokens = [
  /[eE]'(?:[^'\\]|\\[^]|'')*'(?!')/y,
  /(?:[bBxX]|[uU]&)?'(?:[^']|'')*'(?!')/y,
  /(?:[uU]&)?"(?:[^"]|"")*"(?!")/y,
  /(\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$)[^]*?\1/y,
  /\$[0-9]+/y,
];
const broken = /[eEbBxX]?'|[uU]&['"]|"|\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$|\/\*/y;
const word = /[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*/y;
const number = /[0-9][0-9.]*(?:[eE][+-]?[0-9]+)?/y;

const match = (pattern: RegExp, text: string, at: number) => {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
};

function comment(text: string, at: number): number | undefined {
  let depth = 0;
  for (const mark of text.slice(at).matchAll(/\/\*|\*\//g)) {
    depth += mark[0] === '/*' ? 1 : -1;
    if (depth === 0) return at + mark.index + 2;
  }
  return undefined;
}

/** What the script holds, up to what is left unfinished at its end. */
export function reference(text: string): { readonly pieces: ReferencePiece[]; readonly whole: boolean } {
  const pieces: ReferencePiece[] = [];
  let at = 0;
  let from: number | undefined;
  let words: string[] = [];
  let flat: string[] = [];
  let depth = 0;
  let block = 0;
  for (;;) {
    at += match(skipped, text, at)?.length ?? 0;
    if (at >= text.length) return { pieces, whole: from === undefined };
    if (text.startsWith('/*', at)) {
      const end = comment(text, at);
      if (end === undefined) return { pieces, whole: false };
      at = end;
      continue;
    }
    if (text[at] === '\\' && from === undefined) {
      const feed = text.indexOf('\n', at);
      const to = feed === -1 ? text.length : feed + 1;
      pieces.push({ kind: 'meta', from: at, to });
      at = to;
      continue;
    }
    if (text[at] === ';' && depth === 0 && block === 0) {
      at += 1;
      if (from === undefined) continue;
      if (/^copy .*\bfrom (?:stdin|stdout)\b/.test(flat.join(' '))) {
        const line = text.indexOf('\n', at);
        if (line === -1) return { pieces, whole: false };
        pieces.push({ kind: 'statement', from, to: line + 1 });
        const end = /(?<=^|\n)\\\.\r?\n/g;
        end.lastIndex = line + 1;
        const found = end.exec(text);
        if (found === null) return { pieces, whole: false };
        at = found.index + found[0].length;
        pieces.push({ kind: 'rows', from: line + 1, to: at });
      } else pieces.push({ kind: 'statement', from, to: at });
      from = undefined;
      words = [];
      flat = [];
      depth = 0;
      continue;
    }
    from ??= at;
    const quoted = tokens.map((pattern) => match(pattern, text, at)).find((token) => token !== undefined);
    if (quoted !== undefined) {
      at += quoted.length;
      flat.push('"');
      continue;
    }
    if (match(broken, text, at) !== undefined) return { pieces, whole: false };
    const name = match(word, text, at)?.toLowerCase();
    if (name !== undefined) {
      at += name.length;
      words.push(name);
      if (depth > 0) continue;
      flat.push(name);
      if (!/^create (?:or replace )?(?:function|procedure)\b/.test(words.join(' '))) continue;
      if (name === 'begin' || (name === 'case' && block > 0)) block += 1;
      if (name === 'end' && block > 0) block -= 1;
      continue;
    }
    const digits = match(number, text, at)?.length ?? 1;
    if (depth === 0) flat.push('.');
    if (text[at] === '(') depth += 1;
    else if (text[at] === ')' && depth > 0) depth -= 1;
    at += digits;
  }
}
