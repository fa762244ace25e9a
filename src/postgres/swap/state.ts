import { HoldfastError } from '../../domain/errors.ts';
import type { SwapFacts, SwapInput, SwapState, SwapTarget } from '../../domain/swap-report.ts';

/**
 * How far a swap has come, from nothing but what is found on the server: databases are recognised by OID, and the
 * mark tells who closed them.
 */
export function swapState({ asked, live, copy, mark }: SwapFacts): SwapState {
  if (live === null || copy === null) return 'foreign';
  if (live.name === asked.liveName && copy.name === asked.copyName) {
    if (mark !== null) return 'closed';
    return live.allowsConnections ? 'before' : 'foreign';
  }
  if (live.name === asked.oldName && copy.name === asked.liveName) return mark === null ? 'done' : 'swapped';
  return 'foreign';
}

/** What was found instead, for a state that is `foreign`. */
export function describeForeign({ asked, live, copy }: SwapFacts): string {
  const { liveName, liveOid, copyName, copyOid, oldName } = asked;
  if (live === null) return `the live database (OID ${String(liveOid)}) is gone`;
  if (copy === null) return `the copy (OID ${String(copyOid)}) is gone`;
  if (live.name === liveName && copy.name === copyName) {
    return `the live database '${liveName}' takes no connections, and it wasn't this swap that closed it`;
  }
  return (
    `the databases with OID ${String(liveOid)} and ${String(copyOid)} are named '${live.name}' and '${copy.name}'; ` +
    `expected '${liveName}' and '${copyName}', or '${oldName}' and '${liveName}'`
  );
}

/** PlanChanged, with what a person may have to do by hand. */
export function foreignState(facts: SwapFacts): HoldfastError {
  const { asked, live } = facts;
  const closed = live?.name === asked.liveName && !live.allowsConnections;
  return new HoldfastError(
    'PlanChanged',
    `can't swap: ${describeForeign(facts)}`,
    closed
      ? `ALTER DATABASE … ALLOW_CONNECTIONS true opens '${live.name}', if nobody closed it on purpose; then plan again`
      : 'somebody renamed or dropped a database meanwhile, and nothing was touched here: plan again',
  );
}

/** The way back: the old database takes the live name again, the restored one its copy's name. */
export function reversed(input: SwapInput): SwapInput {
  return {
    ...input,
    liveOid: input.copyOid,
    copyName: input.oldName,
    copyOid: input.liveOid,
    oldName: input.copyName,
    properties: 'keep',
  };
}

const databaseNameBytes = 63;

/** InvalidArgument where the names alone can't work: PostgreSQL would cut a long one short, silently. */
export function assertTarget({ liveName, liveOid, copyName, copyOid, oldName }: SwapTarget): void {
  for (const [what, name] of Object.entries({ liveName, copyName, oldName })) {
    const bytes = new TextEncoder().encode(name).length;
    if (bytes >= 1 && bytes <= databaseNameBytes && !name.includes('\0')) continue;
    throw new HoldfastError(
      'InvalidArgument',
      `${what} '${name}' is no name of a database`,
      'give 1 to 63 bytes without NUL',
    );
  }
  if (new Set([liveName, copyName, oldName]).size < 3 || liveOid === copyOid) {
    throw new HoldfastError(
      'InvalidArgument',
      `can't swap '${liveName}' (OID ${String(liveOid)}) with '${copyName}' (OID ${String(copyOid)}) and call the old one '${oldName}'`,
      'give two databases and three different names',
    );
  }
}
