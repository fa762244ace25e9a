import { readFile } from 'node:fs/promises';
import { z } from 'zod';

/** A process of this machine, told apart from any later one that gets its number: in a container that is the rule. */
export const processIdentitySchema = z.object({
  pid: z.number().int().positive(),
  /** Clock ticks between the machine's start and its own. */
  startedAt: z.string(),
  /** Of the machine's start. */
  boot: z.string(),
});

export type ProcessIdentity = Readonly<z.infer<typeof processIdentitySchema>>;

export const ownIdentity = async (): Promise<ProcessIdentity> => ({
  pid: process.pid,
  startedAt: (await startOf(process.pid)) ?? '',
  boot: await bootId(),
});

/** Whether that very process still runs on this machine. */
export async function isRunning({ pid, startedAt, boot }: ProcessIdentity): Promise<boolean> {
  return boot === (await bootId()) && startedAt === (await startOf(pid));
}

const bootId = async () => (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();

/** Field 22 of proc_pid_stat(5); the second, the program's name, may hold anything. undefined: no such process. */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8');
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}
