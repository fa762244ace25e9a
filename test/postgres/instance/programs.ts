import { lendPrograms } from '../../../parts/lent-programs.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';
import { findServerPrograms, type ServerPrograms } from '../../../src/postgres/server-programs.ts';

export interface LentPrograms {
  readonly programs: ServerPrograms;
  readonly binDir: string;
  readonly giveBack: () => Promise<void>;
}

/** Server programs of a major version, where the user that instances run as may run them. */
export async function lentServerPrograms(major: 15 | 17 | 18): Promise<LentPrograms> {
  const installed = findPostgres(major);
  if (installed === undefined) throw new Error(`there is no postgresql ${major.toString()} here`);
  const lent = await lendPrograms(installed, major, serverUser() !== undefined);
  const { binDir } = lent;
  const programs = await findServerPrograms(major * 10_000, { configured: { [major]: binDir }, path: '' });
  return { programs, binDir, giveBack: () => lent.giveBack() };
}
