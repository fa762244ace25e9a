/** How to reach a server. Nothing else is taken from the environment of the worker. */
export interface Server {
  /** Host name, address, or the absolute directory of the Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password?: string;
  /** The maintenance database. */
  readonly database: string;
  readonly sslmode: 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full';
  /** Absolute path of the authority's certificate; needed by verify-ca and verify-full. */
  readonly sslrootcert?: string;
}

/** For messages: never holds the password. */
export function describeServer(server: Server): string {
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  return `PostgreSQL at ${host}:${String(server.port)} as '${server.user}'`;
}
