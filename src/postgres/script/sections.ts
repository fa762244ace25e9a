import { ContentsTold } from './contents-told.ts';
import type { Comment } from './scan.ts';

/** The stretch of a dump that belongs to one database. */
export interface Section {
  readonly offset: number;
  /** null: not told so far. */
  name: string | null;
  /** What a dump of a database begins and ends with was seen. */
  head: boolean;
  complete: boolean;
  /** Something of the database's contents was seen. */
  readonly contents: ContentsTold;
}

const marks = {
  cluster: '-- PostgreSQL database cluster dump',
  clusterEnd: '-- PostgreSQL database cluster dump complete',
  head: '-- PostgreSQL database dump',
  end: '-- PostgreSQL database dump complete',
  database: '-- Database "',
} as const;

/**
 * Finds where in a dump each database begins: at pg_dumpall's comment, at pg_dump's, or at a \connect, whichever comes
 * first after the one before is complete.
 */
export class Sections {
  readonly list: Section[] = [];
  /** Where the databases are over: the footer of a cluster dump. */
  footer: number | null = null;
  /** Something stands behind the footer. */
  goesOn = false;
  isCluster = false;
  clusterComplete = false;
  /** The database that psql would be in. */
  #connected: string | null = null;
  #before: Comment | undefined;

  get current(): Section | undefined {
    return this.footer === null ? this.list.at(-1) : undefined;
  }

  comment(comment: Comment): void {
    const text = comment.text.trimEnd();
    const before = this.#before;
    this.#before = comment;
    const begins =
      before !== undefined && /^--\r?$/.test(before.text) && before.line === comment.line - 1
        ? before.offset
        : comment.offset;
    if (text === marks.cluster) this.isCluster ||= this.list.length === 0;
    else if (text === marks.clusterEnd) this.#endCluster(begins);
    else if (text === marks.end) this.#end();
    else if (text === marks.head) this.#head(begins);
    else if (text.startsWith(marks.database) && this.#isOver()) this.#begin(begins, null);
  }

  connect(database: string, offset: number): void {
    this.#connected = database;
    const { current } = this;
    if (current === undefined || current.complete) this.#begin(offset, database);
    else if (current.name !== null && current.name !== database) this.#begin(offset, database);
  }

  /** A statement that is about this database as a whole; one that makes it begins it. */
  about(database: string, offset: number): void {
    const { current } = this;
    if (current === undefined) return;
    if (current.complete) this.#begin(offset, database);
    else current.name ??= database;
  }

  /** A statement of a database's contents. */
  content(): Section | undefined {
    if (this.footer !== null) this.goesOn = true;
    if (!this.isCluster && this.list.length === 0) this.#begin(0, this.#connected);
    const { current } = this;
    if (current !== undefined) current.name ??= this.#connected;
    return current;
  }

  #head(offset: number): void {
    const { current } = this;
    if (current === undefined || current.complete || current.head) this.#begin(offset, null);
    const begun = this.current;
    if (begun !== undefined) begun.head = true;
  }

  #end(): void {
    const { current } = this;
    if (current?.head === true) {
      current.complete = true;
      current.name ??= this.#connected;
    }
  }

  #endCluster(offset: number): void {
    if (!this.isCluster) return;
    this.clusterComplete = true;
    if (this.list.length > 0 && this.#isOver()) this.footer ??= offset;
  }

  #isOver(): boolean {
    return this.current?.complete ?? true;
  }

  #begin(offset: number, name: string | null): void {
    // A dump of one database is that database's from its first byte.
    const from = this.isCluster || this.list.length > 0 ? offset : 0;
    if (this.footer !== null) {
      this.goesOn = true;
      return;
    }
    this.list.push({ offset: from, name, head: false, complete: false, contents: new ContentsTold() });
  }
}
