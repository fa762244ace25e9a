import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import type { Session } from '../connection.ts';
import { readMark } from './mark.ts';
import { propertyStatements, tablespaceStatement } from './property-statements.ts';
import { inTransaction } from './transaction.ts';

export { compareProperties } from './differences.ts';
export { propertyStatements } from './property-statements.ts';

interface PropertyRow {
  readonly owner: string;
  readonly tablespace: string;
  readonly connection_limit: number;
  readonly is_template: boolean;
  readonly comment: string | null;
  readonly settings: readonly { readonly role: string | null; readonly entry: string }[];
  readonly privileges: DatabaseProperties['privileges'];
  readonly labels: DatabaseProperties['securityLabels'];
}

/**
 * An ACL that was never touched is null, and means acldefault. Rights of a role that is gone mean nothing to anybody
 * and are left out; what such a role granted counts as granted by the owner, as PostgreSQL does when it reassigns.
 */
const propertyQuery = `SELECT
  pg_get_userbyid(d.datdba) AS owner,
  t.spcname AS tablespace,
  d.datconnlimit AS connection_limit,
  d.datistemplate AS is_template,
  shobj_description(d.oid, 'pg_database') AS comment,
  (SELECT coalesce(json_agg(json_build_object('role', r.rolname, 'entry', entry)), '[]')
     FROM pg_db_role_setting s
     LEFT JOIN pg_roles r ON r.oid = s.setrole
     CROSS JOIN unnest(s.setconfig) AS entry
    WHERE s.setdatabase = d.oid AND (s.setrole = 0 OR r.oid IS NOT NULL)) AS settings,
  (SELECT coalesce(json_agg(json_build_object('grantor', coalesce(grantor.rolname, pg_get_userbyid(d.datdba)),
                                              'grantee', grantee.rolname,
                                              'privilege', a.privilege_type,
                                              'grantable', a.is_grantable)), '[]')
     FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
     LEFT JOIN pg_roles grantor ON grantor.oid = a.grantor
     LEFT JOIN pg_roles grantee ON grantee.oid = a.grantee
    WHERE a.grantee = 0 OR grantee.oid IS NOT NULL) AS privileges,
  (SELECT coalesce(json_agg(json_build_object('provider', l.provider, 'label', l.label)), '[]')
     FROM pg_shseclabel l
    WHERE l.objoid = d.oid AND l.classoid = 'pg_database'::regclass) AS labels
 FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace`;

/**
 * Everything that hangs on the database's OID. The session may be in any database of the cluster.
 * PostgresRefused if there is none of that name.
 */
export async function readProperties(session: Session, database: string): Promise<DatabaseProperties> {
  const [row] = await session.query<PropertyRow>(`${propertyQuery} WHERE d.datname = $1::text`, [database]);
  return fromRow(row, `named '${database}'`);
}

/** As readProperties, for a database whose name is about to change. */
export async function readPropertiesByOid(session: Session, oid: number): Promise<DatabaseProperties> {
  const [row] = await session.query<PropertyRow>(`${propertyQuery} WHERE d.oid = $1::oid`, [oid]);
  return fromRow(row, `with OID ${String(oid)}`);
}

function fromRow(row: PropertyRow | undefined, which: string): DatabaseProperties {
  if (row === undefined) {
    throw new HoldfastError(
      'PostgresRefused',
      `there is no database ${which}`,
      'it was dropped or renamed meanwhile: plan again',
    );
  }
  return {
    owner: row.owner,
    tablespace: row.tablespace,
    connectionLimit: row.connection_limit,
    isTemplate: row.is_template,
    comment: readMark(row.comment).comment,
    settings: sorted(
      row.settings.map(({ role, entry }) => ({ role, ...splitEntry(entry) })),
      ({ role, name }) => [role ?? '', name],
    ),
    privileges: sorted(row.privileges, ({ grantor, grantee, privilege }) => [grantee ?? '', privilege, grantor]),
    securityLabels: sorted(row.labels, ({ provider }) => [provider]),
  };
}

/** `name=value`, split at the first '=', as PostgreSQL does. */
function splitEntry(entry: string): { name: string; value: string } {
  const at = entry.indexOf('=');
  return { name: entry.slice(0, at), value: entry.slice(at + 1) };
}

function sorted<T>(list: readonly T[], key: (item: T) => readonly string[]): T[] {
  const text = (item: T) => JSON.stringify(key(item));
  return [...list].sort((a, b) => (text(a) < text(b) ? -1 : 1));
}

/**
 * Gives a database exactly these properties, whatever it had: all of them in one transaction, so that it never shows
 * half of them; only the tablespace comes before, where it differs (that copies its files and fails while somebody
 * is connected). Done twice is done once. The statements that were run, in their order.
 */
export async function applyProperties(
  session: Session,
  database: string,
  properties: DatabaseProperties,
): Promise<readonly string[]> {
  const before = await readProperties(session, database);
  const move = tablespaceStatement(database, before, properties);
  if (move !== undefined) await session.query(move);
  const statements = await inTransaction(session, async () => {
    const needed = propertyStatements(database, await readProperties(session, database), properties);
    for (const statement of needed) await session.query(statement);
    return needed;
  });
  return move === undefined ? statements : [move, ...statements];
}
