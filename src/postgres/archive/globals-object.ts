import type { DatabaseRecord } from '../../domain/manifest.ts';
import { clusterFooter } from '../dump/globals.ts';
import type { Members } from '../dump/members.ts';
import { notUtf8, renderProperties } from '../dump/properties.ts';

/**
 * Writes the script that makes roles, tablespaces and empty databases, part by part: globals, the properties of each
 * database that was dumped, and the footer. Returns what a person should know of it.
 * @param versionNum of the server they come from
 */
export async function writeGlobalsObject(
  members: Members,
  globals: Uint8Array,
  records: readonly DatabaseRecord[],
  versionNum: number,
): Promise<string[]> {
  const warnings: string[] = [];
  await members.write('globals', undefined, globals);
  let afterForeignEncoding = false;
  for (const record of records) {
    if (record.status !== 'dumped' || record.properties === null) continue;
    const text = renderProperties(record, record.properties, { versionNum, afterForeignEncoding });
    if (text.includes('\ufffd')) warnings.push(`database '${record.name}': ${notUtf8}`);
    await members.write('properties', record.name, text);
    afterForeignEncoding = record.encoding !== 'UTF8';
  }
  await members.write('footer', undefined, clusterFooter);
  return warnings;
}
