import { readFileSync } from 'node:fs';

/**
 * Who PostgreSQL servers run as: PostgreSQL refuses root, so root's servers run as user postgres (whom Debian's package
 * made); anybody else's run as themselves, which is what nothing means.
 */
export function serverUser(): { readonly name: 'postgres'; readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new Error('there is no user postgres to run a server as. Type: node scripts/setup.mjs test');
  }
  return { name: 'postgres', uid: Number(uid), gid: Number(gid) };
}
