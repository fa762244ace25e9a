import type {
  DatabasePrivilege,
  DatabaseProperties,
  DatabaseSetting,
  PropertyDifference,
} from '../../domain/swap-report.ts';
import { isListSetting, splitList } from './setting-lists.ts';

/**
 * What one database has otherwise than another; empty: both are equal in everything that hangs on a database's OID.
 * A difference of weight `record` changes nothing for anybody: who granted a right that is there, where files lie.
 */
export function compareProperties(expected: DatabaseProperties, found: DatabaseProperties): PropertyDifference[] {
  return [
    ...differ('effect', 'owner', expected.owner, found.owner),
    ...differ('record', 'tablespace', expected.tablespace, found.tablespace),
    ...differ('effect', 'connection limit', String(expected.connectionLimit), String(found.connectionLimit)),
    ...differ('effect', 'is template', String(expected.isTemplate), String(found.isTemplate)),
    ...differ('effect', 'comment', expected.comment, found.comment),
    ...differMaps('effect', settingMap(expected), settingMap(found)),
    ...comparePrivileges(expected.privileges, found.privileges),
    ...differMaps('effect', labelMap(expected), labelMap(found)),
  ];
}

export const isEffect = ({ weight }: PropertyDifference) => weight === 'effect';

/** One line for messages. */
export const describeDifference = ({ property, expected, found }: PropertyDifference) =>
  `${property}: expected ${shown(expected)}, found ${shown(found)}`;

const shown = (value: string | null) => (value === null ? 'none' : `'${value}'`);

/** Who may do what counts; who granted it is a record only, unless it makes a right more or less than it was. */
function comparePrivileges(
  expected: readonly DatabasePrivilege[],
  found: readonly DatabasePrivilege[],
): PropertyDifference[] {
  const effects = differMaps('effect', rightsByGrantee(expected), rightsByGrantee(found));
  if (effects.length > 0) return effects;
  return differMaps('record', grantorsByRight(expected), grantorsByRight(found));
}

function rightsByGrantee(privileges: readonly DatabasePrivilege[]): Map<string, string> {
  const rights = new Map<string, Map<string, boolean>>();
  for (const { grantee, privilege, grantable } of privileges) {
    const key = `privileges of ${grantee === null ? 'PUBLIC' : `role ${grantee}`}`;
    const held = rights.get(key) ?? new Map<string, boolean>();
    held.set(privilege, grantable || held.get(privilege) === true);
    rights.set(key, held);
  }
  const render = (held: Map<string, boolean>) =>
    [...held].map(([privilege, grantable]) => `${privilege}${grantable ? ' WITH GRANT OPTION' : ''}`).sort();
  return new Map([...rights].map(([key, held]) => [key, render(held).join(', ')]));
}

function grantorsByRight(privileges: readonly DatabasePrivilege[]): Map<string, string> {
  const grantors = new Map<string, string[]>();
  for (const { grantee, privilege, grantor } of privileges) {
    const key = `grantor of ${privilege} to ${grantee === null ? 'PUBLIC' : `role ${grantee}`}`;
    grantors.set(key, [...(grantors.get(key) ?? []), grantor].sort());
  }
  return new Map([...grantors].map(([key, names]) => [key, names.join(', ')]));
}

const describeSetting = ({ role, name }: Pick<DatabaseSetting, 'role' | 'name'>) =>
  `setting ${name}${role === null ? '' : ` of role ${role}`}`;

/** Two spellings of one list are one value; so are two spellings of a setting's name. */
export function sameSetting(a: DatabaseSetting, b: DatabaseSetting): boolean {
  return a.role === b.role && a.name.toLowerCase() === b.name.toLowerCase() && canonicalValue(a) === canonicalValue(b);
}

function canonicalValue({ name, value }: DatabaseSetting): string {
  const items = isListSetting(name) ? splitList(value) : undefined;
  return items === undefined ? value : JSON.stringify(items);
}

function settingMap({ settings }: DatabaseProperties): Map<string, string> {
  return new Map(
    settings.map((setting) => {
      const { role, name } = setting;
      return [describeSetting({ role, name: name.toLowerCase() }), canonicalValue(setting)];
    }),
  );
}

const labelMap = ({ securityLabels }: DatabaseProperties) =>
  new Map(securityLabels.map(({ provider, label }) => [`security label of ${provider}`, label]));

function differMaps(
  weight: PropertyDifference['weight'],
  expected: Map<string, string>,
  found: Map<string, string>,
): PropertyDifference[] {
  return [...new Set([...expected.keys(), ...found.keys()])]
    .sort()
    .flatMap((property) => differ(weight, property, expected.get(property) ?? null, found.get(property) ?? null));
}

function differ(
  weight: PropertyDifference['weight'],
  property: string,
  expected: string | null,
  found: string | null,
): PropertyDifference[] {
  return expected === found ? [] : [{ weight, property, expected, found }];
}
