import type { Statement } from './statement.ts';

/** What a script has set so far and what its names and quotes depend on. */
export class ReadingState {
  encoding = 'UTF8';
  standardStrings = true;
  /** Where names without a schema lie; old dumps set it before every schema's objects. */
  schema = 'public';

  /** Takes note of a statement, after it was judged. True: how texts are read has changed. */
  apply(statement: Statement): boolean {
    if (statement.is(0, 'set')) {
      const value = statement.string(3, this.encoding) ?? statement.name(3, this.encoding);
      if (value === undefined || !(statement.is(2, '=') || statement.is(2, 'to'))) return false;
      if (statement.is(1, 'client_encoding')) this.encoding = value;
      else if (statement.is(1, 'search_path')) this.schema = value;
      else if (statement.is(1, 'standard_conforming_strings')) {
        this.standardStrings = value !== 'off';
        return true;
      }
    }
    return false;
  }

  /** A new connection: what it sets is the server's default again. */
  reset(): void {
    this.standardStrings = true;
    this.schema = 'public';
  }
}
