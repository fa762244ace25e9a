import type { DumpSurvey } from '../../domain/dump-survey.ts';
import type { PartFormat, StoredObject } from '../../domain/manifest.ts';
import { startChain, ToolFailure, type Chain } from '../../process/chain.ts';
import { archiveFailure } from '../restore/load.ts';
import { surveyDump } from '../script/survey.ts';
import type { Tools } from '../tools.ts';
import { judgeArchive } from './messages.ts';
import { archiveScript, localSource } from './script.ts';

export interface ArchiveReadInput {
  /** Not older than the pg_dump that wrote the archive: the newest there are. */
  readonly tools: Pick<Tools, 'pgRestore'>;
  /** A file in custom or tar format, or the directory of the directory format. */
  readonly path: string;
  /** How it is stored, for the survey. */
  readonly format: PartFormat;
  /** What the survey's one part is: the archive as it is stored; of a directory its toc.dat. */
  readonly stored: Pick<StoredObject, 'bytes' | 'sha256'>;
  readonly signal: AbortSignal;
  /** Bytes of the SQL that pg_restore made of it so far. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Reads an archive that others made whole, and says what is in it. pg_restore makes SQL of it, and that is read like any
 * plain dump: the lines of findings are those of that SQL. Changes nothing and executes nothing.
 *
 * Where it is cut off or damaged somewhere behind its beginning, the survey says so (`incomplete`). Fails with
 * ObjectDamaged where nothing of it can be read, ToolTooOld where a newer pg_dump wrote it, ToolFailed, or the signal's
 * reason.
 */
export async function readArchive(input: ArchiveReadInput): Promise<DumpSurvey> {
  const { tools, path, format, stored, signal, onProgress } = input;
  const source = await localSource(path);
  const chain = startChain([archiveScript(tools, { source, create: true })], {
    stdin: 'ignore',
    stdout: 'pipe',
    signal,
  });
  const reading = new Reading(chain, path);
  try {
    const survey = await surveyDump(reading.script(), {
      signal,
      countRows: true,
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    const [database] = survey.databases;
    return {
      ...survey,
      format,
      of: 'database',
      incomplete: reading.damage ?? survey.incomplete,
      plain: { length: stored.bytes, sha256: stored.sha256 },
      parts: [
        {
          name: 'content',
          ...(database === undefined ? {} : { database: database.name }),
          ...{ offset: 0, length: stored.bytes, sha256: stored.sha256 },
        },
      ],
    };
  } finally {
    await chain.kill();
  }
}

class Reading {
  readonly #chain: Chain;
  readonly #path: string;
  #damage: string | undefined;

  constructor(chain: Chain, path: string) {
    this.#chain = chain;
    this.#path = path;
  }

  /** Why the script ended before its end; undefined: it did not. */
  get damage(): string | undefined {
    return this.#damage;
  }

  /** Ends early where the archive does. */
  async *script(): AsyncGenerator<Uint8Array> {
    let begun = false;
    try {
      for await (const chunk of this.#chain.stdout as AsyncIterable<Uint8Array>) {
        begun = true;
        yield chunk;
      }
    } catch (error) {
      const own =
        error instanceof ToolFailure ? /^pg_restore: (?:error|fatal): (.*)$/m.exec(error.exit.stderr)?.[1] : undefined;
      if (own === undefined) throw error;
      if (!begun || judgeArchive(own) !== 'damaged') throw archiveFailure(own, `archive ${this.#path}`, '');
      this.#damage = `it can't be read to its end: ${own}`;
    }
  }
}
