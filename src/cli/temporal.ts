import type { TemporalConnection } from '../client/connect.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { Context } from './context.ts';

/** Runs something on a connection to Temporal and closes it. What gRPC says becomes an error with a hint. */
export async function withTemporal<T>(context: Context, run: (temporal: TemporalConnection) => Promise<T>): Promise<T> {
  const { connectTemporal } = await import('../client/connect.ts');
  const temporal = await connectTemporal(context.environment);
  try {
    return await run(temporal);
  } catch (error) {
    throw temporalTrouble(error, temporal);
  } finally {
    await temporal.close();
  }
}

/** gRPC's codes, as its specification numbers them. */
const grpc = { deadlineExceeded: 4, notFound: 5, permissionDenied: 7, unavailable: 14, unauthenticated: 16 } as const;

/** The error itself, unless it came from gRPC. */
export function temporalTrouble(
  error: unknown,
  { address, namespace }: Pick<TemporalConnection, 'address' | 'namespace'>,
): unknown {
  if (error instanceof HoldfastError) return error;
  const found = grpcError(error);
  if (!found) return error;
  const fail = (what: string, hint: string) =>
    new HoldfastError('TemporalUnavailable', `${what}: ${found.details}`, hint, { cause: error });
  switch (found.code) {
    case grpc.unavailable:
    case grpc.deadlineExceeded:
      return fail(`Temporal at ${address} doesn't answer`, 'try again; runs go on without this command');
    case grpc.permissionDenied:
    case grpc.unauthenticated:
      return fail(
        `Temporal at ${address} refuses access`,
        'check the API key or certificate in TEMPORAL_* or temporal.toml',
      );
    case grpc.notFound:
      return fail(
        `Temporal at ${address} doesn't know what was asked for in namespace ${namespace}`,
        "check TEMPORAL_NAMESPACE; 'temporal operator namespace list' shows what there is",
      );
    default:
      return fail(`Temporal at ${address} answers with an error`, 'see the log of the Temporal server');
  }
}

/** Worth waiting for: the server may be restarting. */
export function isPassing(error: unknown): boolean {
  const code = grpcError(error)?.code;
  return code === grpc.unavailable || code === grpc.deadlineExceeded;
}

/** The library wraps what gRPC said, sometimes in errors of its own. */
function grpcError(error: unknown): { readonly code: number; readonly details: string } | undefined {
  for (let current = error; current instanceof Error; current = current.cause) {
    if (current.name === 'NamespaceNotFoundError') return { code: grpc.notFound, details: current.message };
    if ('code' in current && typeof current.code === 'number' && 'details' in current)
      return { code: current.code, details: messageOf(current) };
  }
  return undefined;
}
