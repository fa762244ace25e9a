/** Where a PostgreSQL in Kubernetes answers right now, and as whom; what a connection needs. */
export interface Located {
  /** Name of a Service, with its namespace: it leads to the primary, whichever that is. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Where it was read, in the namespace of the PostgreSQL. */
  readonly passwordFrom: { readonly secret: string; readonly key: string };
}

/** The name by which a Service is found from every namespace, and from outside where the cluster's DNS is used. */
export const serviceHost = (service: string, namespace: string) => `${service}.${namespace}.svc`;
