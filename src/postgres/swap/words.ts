import type { SwapInput, SwapStep } from '../../domain/swap-report.ts';
import { closeStatements, openStatements, renameStatements } from './steps.ts';

export interface SwapWords {
  readonly step: SwapStep;
  /** One sentence, without a full stop. */
  readonly what: string;
  /** The SQL in its order; what is one transaction is together. */
  readonly statements: readonly string[];
}

/**
 * A swap in words and SQL, for a plan.
 * @param properties what `propertyStatements` says for the copy now; it is worked out again at the swap itself
 */
export function swapStatements(input: SwapInput, properties: readonly string[] = []): SwapWords[] {
  const { liveName, copyName, oldName, liveOid, copyOid, maxClosedMs = 30_000 } = input;
  return [
    {
      step: 'close',
      what: `'${liveName}' (OID ${String(liveOid)}) and '${copyName}' (OID ${String(copyOid)}) take no connections any more`,
      statements: closeStatements(input),
    },
    {
      step: 'end sessions',
      what: `every session in the two is ended; if that and the next step take longer than ${String(maxClosedMs)} ms, '${liveName}' is opened again as it was`,
      statements: [
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid IN (${String(liveOid)}, ${String(copyOid)})`,
      ],
    },
    {
      step: 'rename',
      what: `in one transaction ${properties.length === 0 ? '' : `'${copyName}' gets what hangs on the database and not on its content, `}'${liveName}' becomes '${oldName}', and '${copyName}' becomes '${liveName}'`,
      statements: ['BEGIN', ...properties, ...renameStatements(input), 'COMMIT'],
    },
    {
      step: 'open',
      what: `'${liveName}' takes connections again; '${oldName}' stays closed, with everything it had`,
      statements: openStatements(input),
    },
  ];
}
