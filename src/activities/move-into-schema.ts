import { HoldfastError } from '../domain/errors.ts';
import { assertSameTarget } from '../domain/specs.ts';
import { dropSchema } from '../postgres/extract/drop.ts';
import { moveIntoSchema as extractSchema, type ExtractReport } from '../postgres/extract/move.ts';
import { withSession } from '../postgres/connection.ts';
import { findTools } from '../postgres/tools.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import type { CopyInput } from './restore-copy.ts';
import type { Working } from './working.ts';

/**
 * Puts the chosen tables of a verified copy into the new schema of the live database, in one transaction. Done again
 * after a crash it finds the schema that it made.
 */
export async function moveIntoSchema(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  oid: number,
  { signal, report }: Working,
): Promise<ExtractReport> {
  const config = await deps.config();
  assertSameTarget(config, spec.target);
  const { selection, schema, copyName, target } = planned.plan.facts;
  const { database, liveOid, systemIdentifier } = target;
  if (selection === undefined || schema === undefined || copyName === null || database === null || liveOid === null)
    throw new HoldfastError('Unexpected', 'the plan is not one of tables for a schema', 'report this as a bug');
  const server = await serverOf(deps, spec.target);
  const versionNum = await withSession(server, { signal }, (session) => Promise.resolve(session.versionNum));
  return extractSchema({
    server,
    tools: await findTools(versionNum, deps.toolPlaces(config)),
    copy: { name: copyName, oid },
    live: { name: database, oid: liveOid },
    schema,
    selection,
    run: run.short,
    systemIdentifier,
    signal,
    onProgress: (bytes) => {
      report({ doing: `putting tables into schema ${schema} of ${database}`, bytes });
    },
    failpoint: (name) => deps.failpoint(`extract:${name}`),
  });
}

/** Drops the schema that this run made, if it got so far; what others have made of it meanwhile stays. */
export async function dropExtracted(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  { signal }: Pick<Working, 'signal'>,
): Promise<void> {
  const { schema, target } = planned.plan.facts;
  const { database, liveOid } = target;
  if (schema === undefined || database === null || liveOid === null) return;
  const server = await serverOf(deps, spec.target);
  await dropSchema({ server, live: { name: database, oid: liveOid }, schema, run: run.short, signal });
}
