import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { HoldfastError, messageOf } from '../domain/errors.ts';

export interface TemporalConnection {
  readonly client: Client;
  readonly address: string;
  readonly namespace: string;
  close(): Promise<void>;
}

/** Address, namespace, TLS and API key as users of the `temporal` command have them: environment and temporal.toml. */
export function temporalSettings(environment: Readonly<Record<string, string | undefined>>) {
  const overrideEnvVars = Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
  try {
    const { connectionOptions, namespace } = loadClientConnectConfig({ overrideEnvVars });
    return {
      connectionOptions,
      address: connectionOptions.address ?? 'localhost:7233',
      namespace: namespace ?? 'default',
    };
  } catch (error) {
    throw new HoldfastError(
      'ConfigurationInvalid',
      `the settings for Temporal can't be read: ${messageOf(error)}`,
      "check TEMPORAL_* in the environment and temporal.toml; 'temporal config list' shows them",
    );
  }
}

/** Throws TemporalUnavailable within ten seconds when nobody answers. */
export async function connectTemporal(
  environment: Readonly<Record<string, string | undefined>>,
): Promise<TemporalConnection> {
  const { connectionOptions, address, namespace } = temporalSettings(environment);
  try {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: '10s' });
    return { client: new Client({ connection, namespace }), address, namespace, close: () => connection.close() };
  } catch (error) {
    throw new HoldfastError(
      'TemporalUnavailable',
      `no Temporal server answers at ${address}: ${messageOf(error)}`,
      "start one ('temporal server start-dev'), or name yours in TEMPORAL_ADDRESS or temporal.toml",
      { cause: error },
    );
  }
}
