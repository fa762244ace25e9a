import type { Client, WireConnection } from '../client.ts';

/** One row as the server sent it: column to text. */
export type Row = Readonly<Record<string, string | null>>;

/** What comes of one command, in the order in which the server sent it. */
export interface ExchangeHandlers {
  /** A whole result set, at its end. */
  readonly onRows: (rows: readonly Row[]) => void;
  /**
   * One message of a copy. The bytes are valid until this returns, or until its promise resolves: until then nothing
   * more is read from the server.
   */
  readonly onData: (message: Uint8Array) => Promise<void> | undefined;
  /** The server waits for our data (CopyIn), or takes it while it sends its own (CopyBoth). */
  readonly onCopyIn: (kind: 'in' | 'both') => void;
  /** The server's side of a copy has ended. */
  readonly onCopyDone: () => void;
}

/**
 * One simple query of the wire protocol, with all that the library's own queries don't know: copies in both directions
 * and several result sets around them. What arrives is handled strictly in order, one thing after the other, and the
 * socket rests while a handler's promise is pending.
 */
export class Exchange {
  /** Resolves once the server is ready for the next command and everything it sent is handled. */
  readonly finished: Promise<void>;
  readonly #client: Client;
  readonly #sql: string;
  readonly #handlers: ExchangeHandlers;
  readonly #listeners: readonly (readonly [string, (message: never) => void])[];
  #resolve!: () => void;
  #reject!: (error: unknown) => void;
  #columns: readonly string[] = [];
  #rows: Row[] | undefined;
  /** What waits for the handler that is at work. */
  #waiting: (() => Promise<void> | undefined)[] = [];
  #busy = false;
  #over = false;

  constructor(client: Client, sql: string, handlers: ExchangeHandlers) {
    this.#client = client;
    this.#sql = sql;
    this.#handlers = handlers;
    this.finished = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.finished.catch(() => undefined);
    this.#listeners = [
      // The library calls CopyBothResponse so.
      [
        'replicationStart',
        () => {
          this.#tell(() => {
            handlers.onCopyIn('both');
          });
        },
      ],
      [
        'copyDone',
        () => {
          this.#tell(handlers.onCopyDone);
        },
      ],
    ];
  }

  /** Starts it. One at a time on a connection. */
  start(): void {
    const { library } = this.#client;
    for (const [event, listener] of this.#listeners) library.connection.on(event, listener);
    (library.query as unknown as (query: Exchange) => void).call(library, this);
  }

  /** Gives up: ends the connection, since nothing else ends a copy that the server is sending. */
  fail(error: unknown): void {
    if (!this.#settle()) return;
    this.#reject(error);
    this.#client.destroy();
  }

  get isOver(): boolean {
    return this.#over;
  }

  // What follows is called by the library.

  submit(connection: WireConnection): void {
    connection.query(this.#sql);
  }

  handleRowDescription(message: { readonly fields: readonly { readonly name: string }[] }): void {
    const columns = message.fields.map(({ name }) => name);
    this.#tell(() => {
      this.#columns = columns;
      this.#rows = [];
    });
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    const { fields } = message;
    this.#tell(() => {
      this.#rows?.push(Object.fromEntries(this.#columns.map((name, index) => [name, fields[index] ?? null])));
    });
  }

  handleCommandComplete(): void {
    this.#tell(() => {
      this.#endRows();
    });
  }

  handleEmptyQuery(): void {
    // Nothing comes of nothing.
  }

  handleCopyInResponse(): void {
    this.#tell(() => {
      this.#handlers.onCopyIn('in');
    });
  }

  handleCopyData(message: { readonly chunk: Uint8Array }): void {
    const { chunk } = message;
    this.#push(() => {
      this.#endRows();
      return this.#handlers.onData(chunk);
    });
  }

  handleReadyForQuery(): void {
    this.#tell(() => {
      if (this.#settle()) this.#resolve();
    });
  }

  /** What the server refuses leaves the connection usable; a broken connection comes here too. */
  handleError(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #endRows(): void {
    const rows = this.#rows;
    this.#rows = undefined;
    if (rows !== undefined) this.#handlers.onRows(rows);
  }

  #settle(): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#waiting = [];
    for (const [event, listener] of this.#listeners) this.#client.library.connection.off(event, listener);
    // Whoever comes next, or the farewell, has to be able to read.
    this.#client.library.connection.stream.resume();
    return true;
  }

  #tell(act: () => void): void {
    this.#push(() => {
      act();
      return undefined;
    });
  }

  #push(task: () => Promise<void> | undefined): void {
    if (this.#over) return;
    if (this.#busy) this.#waiting.push(task);
    else this.#run(task);
  }

  /** true: what comes next has to wait for it. */
  #run(task: () => Promise<void> | undefined): boolean {
    let pending: Promise<void> | undefined;
    try {
      pending = task();
    } catch (error) {
      this.fail(error);
    }
    if (pending === undefined) return false;
    this.#busy = true;
    this.#client.library.connection.stream.pause();
    pending.then(
      () => {
        this.#goOn();
      },
      (error: unknown) => {
        this.fail(error);
      },
    );
    return true;
  }

  #goOn(): void {
    this.#busy = false;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      if (this.#run(next)) return;
    }
    this.#client.library.connection.stream.resume();
  }
}
