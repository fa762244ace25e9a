import { open, stat } from 'node:fs/promises';

/** More of a log than this is never read at once. */
const maxBytes = 4 * 1024 * 1024;

export async function logSize(logFile: string): Promise<number> {
  try {
    return (await stat(logFile)).size;
  } catch {
    return 0;
  }
}

/** The log from a place on; of a very long one its end. */
export async function readLog(logFile: string, from: number): Promise<string> {
  const size = await logSize(logFile);
  const begin = Math.max(from, size - maxBytes);
  if (size <= begin) return '';
  const file = await open(logFile, 'r');
  try {
    const buffer = Buffer.alloc(size - begin);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, begin);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}

const entry = /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} UTC \[\d+\] ([A-Z]+): +(.*)$/;

/**
 * Why a server died, in its own words: the first FATAL or PANIC of the log, with the DETAIL and HINT that follow it;
 * without one the last line. What the postmaster or a session says afterwards is consequence.
 */
export function reasonIn(log: string): string {
  const lines = log.split('\n').filter((line) => line.trim() !== '');
  const said = lines.findIndex((line) => isDeath(entry.exec(line)));
  // Before it has a log it says what it can without one.
  const deadly = said === -1 ? lines.findIndex((line) => /^\S*postgres: /.test(line)) : said;
  const first = lines[deadly];
  if (first === undefined) return lines.at(-1)?.trim() ?? 'it said nothing';
  const words = [entry.exec(first)?.[2] ?? first.trim()];
  for (const line of lines.slice(deadly + 1)) {
    const match = entry.exec(line);
    if (match !== null && match[1] !== 'DETAIL' && match[1] !== 'HINT') break;
    if (match !== null) words.push(`${match[1] ?? ''}: ${match[2] ?? ''}`);
    else if (line.startsWith('\t')) words.push(line.trim());
    else break;
  }
  // It names the file and says what is wrong with it in entries of their own, before.
  if (/^configuration file .* contains errors/.test(words[0] ?? ''))
    words.push(...lines.slice(0, deadly).flatMap((line) => entry.exec(line)?.[2] ?? []));
  return words.join('; ').slice(0, 2_000);
}

/** Sessions that are turned away while it starts or stops are no reason. */
const isDeath = (match: RegExpExecArray | null) =>
  match !== null &&
  (match[1] === 'FATAL' || match[1] === 'PANIC') &&
  !/^(the database system is|terminating (connection|walreceiver|background)|no pg_hba|role ".*" does not|database ".*" does not|password auth)/.test(
    match[2] ?? '',
  );

/** The text of entries of the kind LOG or WARNING that match. */
export function saidIn(log: string, pattern: RegExp): string | undefined {
  let found: string | undefined;
  for (const line of log.split('\n')) {
    const text = entry.exec(line)?.[2];
    if (text !== undefined && pattern.test(text)) found = text;
  }
  return found;
}
