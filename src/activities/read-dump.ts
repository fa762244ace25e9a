import { readArchive } from '../postgres/archive/read.ts';
import type { DumpSurvey } from '../domain/dump-survey.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { ForeignDump } from '../domain/foreign.ts';
import { formatBytes } from '../domain/format.ts';
import type { Allowance, Part, PartFormat, StoredObject } from '../domain/manifest.ts';
import { surveyDump } from '../postgres/script/survey.ts';
import { flawsOf } from '../domain/psql-flaws.ts';
import { listTools, type Tools } from '../postgres/tools.ts';
import type { Repository } from '../storage/repository.ts';
import { Meter, metered } from '../streams/meter.ts';
import type { ScratchOwner } from '../streams/scratch.ts';
import { unpackedFrom } from '../streams/unpack.ts';
import { localArchive, refuseFlawedReader } from './archive-files.ts';
import type { Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface DumpFiles {
  readonly dump: ForeignDump;
  /** Every file of it. */
  readonly keys: readonly string[];
  readonly allow: readonly Allowance[];
  /** What the database is called where a dump of one database doesn't tell; default: as the dump is. */
  readonly database?: string | undefined;
}

export interface ReadResult {
  readonly survey: DumpSurvey;
  readonly objects: readonly StoredObject[];
  readonly compression: Part['compression'];
}

type Tooling = Pick<Dependencies, 'compressors' | 'config' | 'toolPlaces' | 'scratch'>;

/**
 * Reads a foreign dump whole, whatever its format, and changes nothing. Damage that keeps it from being read is an
 * error (ObjectDamaged, ToolFailed); that it is cut off is said in the survey.
 */
export async function readDump(
  deps: Tooling,
  repository: Repository,
  { dump, keys, allow, database }: DumpFiles,
  owner: ScratchOwner,
  { signal, report }: Pick<Working, 'signal' | 'report'>,
): Promise<ReadResult> {
  const onStored = (bytes: number) => {
    report({ doing: `reading ${dump.id}`, bytes, totalBytes: dump.bytes });
  };
  const compression = compressionOf(await head(repository.read(dump.key, undefined, signal)));
  const unpack = (body: AsyncIterable<Uint8Array>) => unpackedFrom(body, compression, deps.compressors, signal);
  const beginning = await head(unpack(repository.read(dump.key, undefined, signal)));
  const format = formatOf(dump, beginning);
  if (format === 'plain') {
    const meter = new Meter(onStored);
    const body = metered(repository.read(dump.key, undefined, signal), meter);
    const survey = await surveyDump(unpack(body), { signal, countRows: true, unnamed: database ?? dump.id }).catch(
      (error: unknown) => {
        throw compression === 'none' ? error : notUnpacked(error, dump);
      },
    );
    return { survey, objects: [{ key: dump.key, bytes: meter.bytes, sha256: meter.digest() }], compression };
  }
  const objects: StoredObject[] = [];
  for (const key of keys) {
    const meter = new Meter(onStored);
    for await (const chunk of repository.read(key, undefined, signal)) meter.update(chunk);
    objects.push({ key, bytes: meter.bytes, sha256: meter.digest() });
  }
  const survey = await surveyArchive(
    deps,
    repository,
    { dump, format, compression, objects, allow, version: archiveVersion(beginning) },
    owner,
    {
      signal,
      report,
    },
  );
  return { survey, objects, compression };
}

/** A decompressor that fails has found damaged bytes. */
function notUnpacked(error: unknown, { key }: ForeignDump): unknown {
  if (!(error instanceof HoldfastError) || error.type !== 'ToolFailed') return error;
  return new HoldfastError(
    'ObjectDamaged',
    `${key} can't be unpacked: ${error.message}`,
    'it was cut off when it was written, or damaged since; use another one',
    { cause: error },
  );
}

interface ArchiveFiles {
  readonly dump: ForeignDump;
  readonly format: PartFormat;
  readonly compression: Part['compression'];
  readonly objects: readonly StoredObject[];
  readonly allow: readonly Allowance[];
  /** Of the archive's format: 14 is 1.14. */
  readonly version: number;
}

/** The minor version of an archive's format stands behind its magic word; 0 where there is none at the beginning. */
function archiveVersion(bytes: Buffer): number {
  const at = bytes.indexOf('PGDMP', 0, 'latin1');
  return at === -1 ? 0 : (bytes[at + 6] ?? 0);
}

/** pg_restore reads archives of its own and older formats: 1.16 came with PostgreSQL 17, 1.15 with 16. */
const majorFor = (version: number) => (version >= 16 ? version + 1 : version === 15 ? 16 : 0);

/** Of the tools that read such an archive, one without known flaws, else the newest. */
function archiveReader(tools: readonly Tools[], version: number, { key }: ForeignDump): Tools {
  const able = tools.filter(({ major }) => major >= majorFor(version));
  const safe = able.find((one) => flawsOf(one.version).every(({ by }) => by !== 'archive'));
  const [newest] = able;
  if (newest !== undefined) return safe ?? newest;
  throw new HoldfastError(
    'ToolTooOld',
    `${key} is an archive of format 1.${String(version)}, which no pg_restore on this worker reads`,
    `install the client tools of PostgreSQL ${String(Math.max(14, majorFor(version)))} or newer`,
  );
}

/** What pg_restore makes of it is SQL like any other, and is read as such. */
async function surveyArchive(
  deps: Tooling,
  repository: Repository,
  { dump, format, compression, objects, allow, version }: ArchiveFiles,
  owner: ScratchOwner,
  { signal, report }: Pick<Working, 'signal' | 'report'>,
): Promise<DumpSurvey> {
  const stored = objects.find(({ key }) => key === dump.key);
  if (stored === undefined)
    throw new HoldfastError('Unexpected', `${dump.key} is not among its own files`, 'report this as a bug');
  const part: Part = {
    ...{ name: 'content', object: stored.key, offset: 0, length: stored.bytes, sha256: stored.sha256 },
    ...{ plain: null, compression, format, encryption: null },
  };
  const tools = archiveReader(await listTools(deps.toolPlaces(await deps.config())), version, dump);
  refuseFlawedReader(tools, allow, dump.key);
  const { compressors, scratch } = deps;
  const archive = await localArchive({ repository, compressors, scratch, owner, signal }, part, objects);
  try {
    return await readArchive({
      tools,
      path: archive.path,
      format,
      stored,
      signal,
      onProgress: (bytes: number) => {
        report({ doing: `reading ${dump.id} (${formatBytes(bytes)} of SQL)` });
      },
    });
  } finally {
    await archive.release();
  }
}

/** The first bytes: enough for the magic numbers of everything that is told apart. */
async function head(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  let found = Buffer.alloc(0);
  for await (const chunk of body) {
    found = Buffer.concat([found, chunk]);
    if (found.length >= headBytes) break;
  }
  return found;
}

const headBytes = 1024;

function compressionOf(bytes: Buffer): Part['compression'] {
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return 'gzip';
  if (bytes.subarray(0, 4).equals(Buffer.from([0x28, 0xb5, 0x2f, 0xfd]))) return 'zstd';
  return 'none';
}

function formatOf({ key }: ForeignDump, bytes: Buffer): PartFormat {
  if (key.endsWith('/toc.dat')) return 'directory';
  if (bytes.subarray(0, 5).toString('latin1') === 'PGDMP') return 'custom';
  if (bytes.subarray(257, 262).toString('latin1') !== 'ustar') return 'plain';
  // pg_dump's own tar begins with its table of contents; a tar of its directory format may begin with the directory.
  return bytes.subarray(0, 8).toString('latin1') === 'toc.dat\0' ? 'tar' : 'directory-tar';
}
