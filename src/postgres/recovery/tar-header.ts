import { HoldfastError } from '../../domain/errors.ts';

/** One entry of a base backup's tar. */
export interface TarEntry {
  readonly name: string;
  readonly type: 'file' | 'directory' | 'link';
  readonly bytes: number;
  readonly mode: number;
}

export const tarBlock = 512;

/** undefined: the block of zeros that ends a tar. Fails with ObjectDamaged where it is no header. */
export function parseTarHeader(block: Uint8Array, archive: string): TarEntry | undefined {
  const header = Buffer.from(block.buffer, block.byteOffset, tarBlock);
  if (isZero(header)) return undefined;
  if (octal(header, 148, 8) !== checksumOf(header)) throw damaged(archive, 'an entry has a wrong checksum');
  const bytes = sizeOf(header);
  if (bytes === undefined) throw damaged(archive, 'an entry has no readable size');
  const prefix = header.toString('latin1', 257, 262) === 'ustar' ? text(header, 345, 155) : '';
  const raw = prefix === '' ? text(header, 0, 100) : `${prefix}/${text(header, 0, 100)}`;
  const kind = String.fromCharCode(header[156] ?? 0);
  const mode = octal(header, 100, 8) ?? 0o600;
  switch (kind) {
    case '0':
    case '\0':
    case '7':
      return { name: placeOf(raw, archive), type: 'file', bytes, mode };
    case '5':
      if (bytes !== 0) throw refused(archive, raw, 'is a directory with content');
      return { name: placeOf(raw, archive), type: 'directory', bytes: 0, mode };
    case '2': {
      const name = placeOf(raw, archive);
      // PostgreSQL sends a tablespace's link when it was asked for no tablespace_map; it is never followed here.
      if (!/^pg_tblspc\/[0-9]+$/.test(name)) throw refused(archive, raw, 'is a symbolic link');
      return { name, type: 'link', bytes: 0, mode };
    }
    default:
      throw refused(archive, raw, `is of kind ${JSON.stringify(kind)}: a base backup has directories and files only`);
  }
}

/** Relative, without '.' parts; '' is the directory itself. */
function placeOf(name: string, archive: string): string {
  if (name.startsWith('/')) throw refused(archive, name, 'has an absolute name');
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw refused(archive, name, 'leads out of the directory');
  return parts.join('/');
}

const isZero = (block: Buffer) => block[0] === 0 && block.every((byte) => byte === 0);

/** Of all bytes, those of the checksum itself taken as blanks. */
function checksumOf(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < tarBlock; at += 1) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum;
}

function text(header: Buffer, at: number, length: number): string {
  const field = header.subarray(at, at + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end === -1 ? length : end);
}

function octal(header: Buffer, at: number, length: number): number | undefined {
  const digits = text(header, at, length).trim();
  return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : undefined;
}

/** Octal digits, or, from 8 GiB on, 0x80 and the number itself. */
function sizeOf(header: Buffer): number | undefined {
  if (header[124] !== 0x80) return octal(header, 124, 12);
  const size = header.readBigUInt64BE(128);
  return header.readUIntBE(125, 3) === 0 && size <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(size) : undefined;
}

export const damaged = (archive: string, what: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `${archive} can't be unpacked: ${what}`,
    'restore from another backup, and verify this one',
  );

export const refused = (archive: string, entry: string, what: string) =>
  new HoldfastError(
    'DumpRefused',
    `${archive}: the entry ${JSON.stringify(entry)} ${what}`,
    'PostgreSQL writes nothing of that kind: somebody else made or changed this backup',
  );
