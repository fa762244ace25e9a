import type { DumpFinding, DumpSurvey, SurveyedDatabase } from '../../domain/dump-survey.ts';
import type { DatabaseProperties } from '../../domain/swap-report.ts';
import { isSafeEncoding } from './encodings.ts';
import { Fence } from './fence.ts';
import { judge } from './judge.ts';
import { readCommand } from './meta.ts';
import { findOutermost } from './names.ts';
import { PropertiesTold } from './properties-told.ts';
import { ReadingState } from './reading-state.ts';
import { RolesTold } from './roles-told.ts';
import type { Blank, MetaCommand, Rows, RowsEnd, ScriptVisitor } from './scan.ts';
import { Sections, type Section } from './sections.ts';
import type { Statement } from './statement.ts';

type Told = Pick<
  DumpSurvey,
  | 'of'
  | 'serverVersion'
  | 'dumpVersion'
  | 'incomplete'
  | 'databases'
  | 'roles'
  | 'tablespaces'
  | 'bootstrapRole'
  | 'findings'
  | 'findingCount'
  | 'notes'
>;

const listedFindings = 100;

/** Collects what a dump tells while it is read. */
export class SurveyScript implements ScriptVisitor {
  readonly sections = new Sections();
  /** The offset behind everything that was heard of. */
  position = 0;
  readonly #onStandardStrings: (on: boolean) => void;
  readonly #fence = new Fence();
  readonly #state = new ReadingState();
  readonly #properties = new Map<string, PropertiesTold>();
  readonly #roles = new RolesTold();
  readonly #findings: { readonly finding: DumpFinding; readonly section: Section | undefined }[] = [];
  #findingCount = 0;
  #serverVersion: string | null = null;
  #dumpVersion: string | null = null;
  /** SET SESSION AUTHORIZATION, SET ROLE. */
  #user: string | null = null;

  constructor(onStandardStrings: (on: boolean) => void) {
    this.#onStandardStrings = onStandardStrings;
  }

  blank({ bytes, offset, comments }: Blank): void {
    for (const comment of comments) {
      this.sections.comment(comment);
      this.#serverVersion ??= /^-- Dumped from database version ([0-9][\w.]*)/.exec(comment.text)?.[1] ?? null;
      this.#dumpVersion ??= /^-- Dumped by pg_dump version ([0-9][\w.]*)/.exec(comment.text)?.[1] ?? null;
    }
    this.position = offset + bytes.length;
  }

  meta({ bytes, offset, line }: MetaCommand): void {
    const command = readCommand(bytes);
    const wrong = this.#fence.pass(command);
    if (wrong !== null) this.#find('never', wrong, line);
    if (command.kind === 'connect') {
      this.sections.connect(command.database, offset);
      this.#state.reset();
      this.#onStandardStrings(true);
      this.#user = null;
    }
    if (command.kind === 'encoding') {
      if (isSafeEncoding(command.encoding)) this.#state.encoding = command.encoding;
      else this.#find('never', `\\encoding ${command.encoding}`, line);
    }
    this.position = offset + bytes.length;
  }

  statement(statement: Statement): void {
    const { needs, what, subject } = judge(statement);
    if (needs !== 'nothing') this.#find(needs, what, statement.line);
    const { encoding } = this.#state;
    switch (subject) {
      case 'database':
        this.#aboutDatabase(statement);
        break;
      case 'cluster':
        this.#roles.apply(statement, encoding);
        break;
      case 'setting':
        this.#setting(statement);
        this.sections.current?.contents.apply(statement, subject, this.#state);
        break;
      case 'drop':
      case 'transaction':
        break;
      default:
        this.sections.content()?.contents.apply(statement, subject, this.#state);
    }
    this.position = statement.offset + statement.bytes.length;
  }

  rows({ bytes, offset }: Rows): void {
    this.position = offset + bytes.length;
  }

  rowsEnd({ bytes, offset, rows }: RowsEnd): void {
    this.sections.current?.contents.rowsEnd(rows);
    this.position = offset + bytes.length;
  }

  /** The scanner can't go on. */
  refuse(what: string, line: number): void {
    this.#find('never', what, line);
  }

  /**
   * @param unfinished what the scanner found missing at the end
   * @param unnamed what a database is called of which the dump doesn't tell the name
   */
  told(unfinished: string | null, unnamed: string): Told {
    const { list, isCluster } = this.sections;
    const databases = list.map((section) => this.#database(section, section.name ?? unnamed));
    const findings = this.#findings.map(({ finding, section }) => ({
      ...finding,
      database: section === undefined ? null : (section.name ?? unnamed),
    }));
    return {
      of: isCluster ? 'cluster' : 'database',
      serverVersion: this.#serverVersion,
      dumpVersion: this.#dumpVersion,
      incomplete: unfinished ?? this.#incomplete(unnamed),
      databases,
      ...this.#roles.told,
      findings,
      findingCount: this.#findingCount,
      notes: this.#notes(unnamed),
    };
  }

  #incomplete(unnamed: string): string | null {
    const { list, isCluster, clusterComplete, goesOn } = this.sections;
    const cut = list.find(({ complete }) => !complete);
    if (cut?.head === false) return `the beginning of the dump of database '${cut.name ?? unnamed}' is missing`;
    if (cut !== undefined) return `the dump of database '${cut.name ?? unnamed}' does not end as pg_dump ends it`;
    if (isCluster && !clusterComplete) return 'the end of the cluster dump is missing';
    if (!isCluster && list.length === 0) return 'it holds no database';
    if (this.#fence.open) return 'its fence is not closed';
    if (goesOn) return 'something follows the end of the cluster dump';
    const names = list.map(({ name }) => name);
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    return twice === undefined ? null : `it holds database '${twice ?? unnamed}' twice`;
  }

  #notes(unnamed: string): string[] {
    const notes: string[] = [];
    for (const { name, contents } of this.sections.list) {
      const named = `database '${name ?? unnamed}'`;
      if (name === null) notes.push(`the dump does not tell the name of its database: it is called ${unnamed} here`);
      if (contents.only === 'rows') notes.push(`${named}: the dump holds rows, and no definitions of tables`);
      if (contents.only === 'definitions') notes.push(`${named}: the dump holds no rows of its tables`);
    }
    const held = new Set(this.sections.list.map(({ name }) => name));
    for (const name of this.#properties.keys()) {
      if (this.sections.isCluster && !held.has(name) && this.#properties.get(name)?.isMade === true)
        notes.push(`database '${name}' is made by the dump, which holds no contents of it`);
    }
    return notes;
  }

  #database({ name, contents }: Section, called: string): SurveyedDatabase {
    const told = (name === null ? undefined : this.#properties.get(name)) ?? new PropertiesTold();
    const { created } = told;
    const properties = writable(told.properties);
    const found = contents.contents;
    const roles = new Set([...found.roles, ...(properties === null ? [] : rolesOf(properties))]);
    return { name: called, ...created, properties, ...found, roles: [...roles].filter((role) => role !== '').sort() };
  }

  #aboutDatabase(statement: Statement): void {
    const name = databaseOf(statement, this.#state.encoding);
    if (name === undefined) return;
    this.sections.about(name, statement.offset);
    if (statement.is(0, 'drop')) return;
    const told = this.#properties.get(name) ?? new PropertiesTold();
    this.#properties.set(name, told);
    told.apply(statement, this.#state.encoding, this.#user);
  }

  #setting(statement: Statement): void {
    if (this.#state.apply(statement)) this.#onStandardStrings(this.#state.standardStrings);
    const { encoding } = this.#state;
    const text = (at: number) => statement.string(at, encoding) ?? statement.name(at, encoding) ?? null;
    if (statement.is(0, 'reset')) this.#user = null;
    else if (statement.is(1, 'role')) this.#user = text(2);
    else if (statement.has(1, 'session', 'authorization')) this.#user = statement.is(3, 'default') ? null : text(3);
  }

  #find(needs: DumpFinding['needs'], what: string, line: number): void {
    this.#findingCount += 1;
    if (this.#findings.length >= listedFindings) return;
    this.#findings.push({ finding: { needs, what, line, database: null }, section: this.sections.current });
  }
}

/** As a manifest holds it. */
const writable = (properties: DatabaseProperties | null): SurveyedDatabase['properties'] =>
  properties === null
    ? null
    : {
        ...properties,
        settings: [...properties.settings],
        privileges: [...properties.privileges],
        securityLabels: [...properties.securityLabels],
      };

const rolesOf = ({ owner, privileges, settings }: NonNullable<SurveyedDatabase['properties']>) => [
  owner,
  ...privileges.flatMap(({ grantor, grantee }) => [grantor, ...(grantee === null ? [] : [grantee])]),
  ...settings.flatMap(({ role }) => (role === null ? [] : [role])),
];

/** Which database a statement about a whole database names. */
function databaseOf(statement: Statement, encoding: string): string | undefined {
  const word = statement.word(0);
  if (word === 'update') return statement.string(statement.count - 1, encoding);
  if (word === 'alter' && !statement.is(1, 'database')) return statement.name(5, encoding);
  if (word === 'create' || word === 'alter') return statement.name(2, encoding);
  if (word === 'drop') return statement.name(statement.is(2, 'if') ? 4 : 2, encoding);
  return statement.name(findOutermost(statement, ['on'], 1) + 2, encoding);
}
