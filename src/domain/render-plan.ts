import { placeholderName, type FollowUpVerb } from './decision.ts';
import { code, formatBytes, formatCount, formatSeconds, formatVersion, oneLine, shellWord } from './format.ts';
import { planDigest, shortDigest, type Obstacle, type RestorePlan } from './plan.ts';
import type { Proposal } from './run.ts';

export const proposalOf = (plan: RestorePlan): Proposal => ({
  plan,
  digest: planDigest(plan),
  text: renderPlan(plan),
});

/** A plan as Markdown, for the Temporal UI's current details and for a terminal. */
export function renderPlan(plan: RestorePlan): string {
  const { facts, estimates } = plan;
  const lines = [
    `### Plan ${shortDigest(planDigest(plan))}: ${title(plan)}`,
    '',
    `- **from** backup ${code(facts.source.backup)} of cluster ${code(facts.source.cluster)} in repository ${code(facts.source.repository)}, data of ${facts.source.takenAt} (${formatSeconds(estimates.backupAgeSeconds)} old)`,
    ...origin(plan).map((line) => `- ${line}`),
    `- **to** cluster ${code(facts.target.cluster)} at ${code(facts.target.address)}, PostgreSQL ${formatVersion(facts.target.versionNum)}, system ${facts.target.systemIdentifier}, timeline ${String(facts.target.timeline)}`,
    ...effects(plan).map((effect) => `- ${effect}`),
    ...costs(plan).map((cost) => `- ${cost}`),
    ...report(plan),
    ...obstacleLines(plan.obstacles),
  ];
  return lines.join('\n');
}

/** Who vouches for what is restored, where Holdfast didn't make it. */
function origin({ facts }: RestorePlan): string[] {
  const found = facts.source.origin;
  if (found === undefined) return [];
  const allowed =
    found.findings.length === 0
      ? ['**its SQL** was read whole, and holds only what a dump usually holds']
      : [
          `**its SQL** holds what a dump doesn't usually hold, and is allowed to (${found.allow.join(', ')}): ${found.findings.slice(0, 5).map(oneLine).join('; ')}${found.findings.length > 5 ? ` and ${String(found.findings.length - 5)} more` : ''}`,
        ];
  return found.kind === 'adopted'
    ? [`**made by** something else; put into the catalog by ${code(found.by)}: ${oneLine(found.reason)}`, ...allowed]
    : [
        '**NOBODY VOUCHES FOR IT**: it is not in the catalog. A dump is code that runs with the rights of the restoring role',
        ...allowed,
      ];
}

/** "table `public.orders`, schema `shop`" */
function chosen({ facts }: RestorePlan): string {
  const { schemas, tables } = facts.selection ?? { schemas: [], tables: [] };
  return [
    ...schemas.map((schema) => `schema ${code(schema)}`),
    ...tables.map(([schema, table]) => `table ${code(`${schema}.${table}`)}`),
  ].join(', ');
}

const leavesOut =
  '**leaves out** the other tables’ rows, foreign keys, triggers, large objects, publications and subscriptions';

/** What is read, made and waited for. Once the copy is there, only the swap is left. */
function costs({ facts, estimates }: RestorePlan): string[] {
  if (facts.copyOid !== null) return ['**takes** seconds, in which clients are refused'];
  const free =
    estimates.freeBytes === null
      ? 'free space unknown: it can’t be read from here'
      : `${formatBytes(estimates.freeBytes)} free`;
  const time =
    estimates.expectedSeconds === null ? 'an unknown time' : `about ${formatSeconds(estimates.expectedSeconds)}`;
  return [
    `**reads** ${formatBytes(estimates.readBytes)}; **needs** about ${formatBytes(estimates.needBytes)} at the target (on every replica too, and as WAL), ${free}`,
    `**takes** ${time}${facts.kind === 'swap' ? '; the swap itself seconds, in which clients are refused' : ''}`,
  ];
}

function title(plan: RestorePlan): string {
  const { facts } = plan;
  const database = code(facts.target.database ?? '');
  switch (facts.kind) {
    case 'swap':
      return facts.copyOid === null
        ? `restore ${database} beside the live one, then swap`
        : `swap the restored ${database} in`;
    case 'create':
      return facts.selection === undefined
        ? `restore as new database ${database}`
        : `restore ${chosen(plan)} as new database ${database}`;
    case 'schema':
      return `put ${chosen(plan)} into new schema ${code(facts.schema ?? '')} of ${database}`;
    case 'cluster':
      return `restore the whole cluster into ${code(facts.target.cluster)}`;
  }
}

function effects({ facts, estimates }: RestorePlan): string[] {
  const roles =
    facts.createRoles.length === 0
      ? []
      : [`**creates roles** ${facts.createRoles.map(code).join(', ')}, without login and password`];
  switch (facts.kind) {
    case 'swap': {
      const { properties } = facts;
      return [
        ...roles,
        `**makes** ${code(facts.copyName ?? '')} beside the live database; nothing of the live one changes before the swap`,
        `**swap** renames ${code(facts.target.database ?? '')} (OID ${String(facts.target.liveOid)}) to ${code(facts.oldName ?? '')} and puts the copy in its place; the old one is kept until it is released`,
        `**loses** for its users what was written after ${facts.source.takenAt}: that stays in ${code(facts.oldName ?? '')} only`,
        `**owner, privileges, settings, comment** are taken from the ${properties?.from === 'backup' ? 'backup' : 'live database'}`,
        ...(estimates.sessions === null
          ? []
          : [
              `**ends** the sessions on the live database at the swap: ${formatCount(estimates.sessions, 'session')} right now`,
            ]),
      ];
    }
    case 'create':
      return [
        ...roles,
        `**makes** ${code(facts.target.database ?? '')}, under the name ${code(facts.copyName ?? '')} until it is verified; nothing that exists is changed`,
        ...(facts.selection === undefined ? [] : [leavesOut]),
      ];
    case 'schema':
      return [
        ...roles,
        `**makes** ${code(facts.copyName ?? '')} beside the live database, with every definition and the chosen rows, and drops it at the end`,
        `**creates** schema ${code(facts.schema ?? '')} in ${code(facts.target.database ?? '')} in one transaction; nothing else of it is changed`,
        leavesOut,
      ];
    case 'cluster': {
      const adopts = facts.adopts ?? { roles: [], databases: [] };
      return [
        adopts.roles.length === 0
          ? '**creates** every role of the backup'
          : `**alters** the roles that are there already: ${adopts.roles.map(code).join(', ')}`,
        adopts.databases.length === 0
          ? '**creates** every database of the backup'
          : `**fills** the databases that are there already, and empty: ${adopts.databases.map(code).join(', ')}`,
      ];
    }
  }
}

function report({ facts }: RestorePlan): string[] {
  if (facts.report === null) return [];
  const { ok, tables, rows, differences, notes } = facts.report;
  return [
    '',
    `### Verification: ${ok ? 'passed' : 'FAILED'}`,
    '',
    `- ${formatCount(tables, 'table')} and ${formatCount(rows, 'row')} compared with the backup's manifest`,
    ...differences.map((difference) => `- differs: ${oneLine(difference)}`),
    ...notes.map((note) => `- note: ${oneLine(note)}`),
  ];
}

/** What stands in the way of a plan of any kind; nothing: no lines. */
export function obstacleLines(found: readonly Obstacle[]): string[] {
  if (found.length === 0) return [];
  const heading = { hopeless: 'can’t be done', swap: 'stands in the way of the swap', note: 'to know' } as const;
  return [
    '',
    '### What stands in the way',
    '',
    ...found.map(
      ({ weight, what, cure }) => `- ${heading[weight]}: ${oneLine(what)}${cure === '' ? '' : ` — ${oneLine(cure)}`}`,
    ),
  ];
}

/** The command to paste for a decision, in a plan's words. */
export function decisionCommands(workflowId: string, digest: string): string {
  const command = (verb: string, reason: string) =>
    `temporal workflow signal --workflow-id ${shellWord(workflowId)} --name ${verb} --input '{"by":"${placeholderName}","reason":"${reason}","plan":"${shortDigest(digest)}"}'`;
  return ['```', command('approve', 'checked the report'), command('reject', 'not now'), '```'].join('\n');
}

/** The commands for what a run may be asked once something is done. */
export function followUpCommands(workflowId: string, verbs: readonly FollowUpVerb[]): string {
  const reasons: Readonly<Record<FollowUpVerb, string>> = {
    release: 'the application is well',
    undo: 'swap the old database back',
    promote: 'the rows are there',
    'go-on': 'too early',
    'throw-away': 'seen enough',
  };
  const command = (verb: FollowUpVerb) =>
    `temporal workflow signal --workflow-id ${shellWord(workflowId)} --name ${verb} --input '{"by":"${placeholderName}","reason":"${reasons[verb]}"${verb === 'go-on' ? ',"target":{"time":"2026-11-21T14:05:00Z"}' : ''}}'`;
  return ['```', ...verbs.map(command), '```'].join('\n');
}
