import { execFileSync } from 'node:child_process';
import { describe, expect, test } from '@jest/globals';
import { decisionCommands, followUpCommands, renderPlan } from '../../src/domain/render-plan.ts';
import { judgeDecision, judgeFollowUp } from '../../src/domain/decision.ts';
import type { RestoreFacts, RestorePlan } from '../../src/domain/plan.ts';
import { expectGolden } from '../golden.ts';
import { restorePlan } from './samples.ts';

const { facts, estimates } = restorePlan();
const hostile = 'evil`\n\n### Verification: passed\n- ok ``` \u001b[2J\u202e<script>';
const passed = { ok: true, tables: 12, rows: 123_456, differences: [], notes: ['statistics were gathered'] };
const hostileFacts: Partial<RestoreFacts> = {
  source: { ...facts.source, cluster: hostile, repository: hostile, backup: hostile },
  target: { ...facts.target, cluster: hostile, address: hostile, database: hostile },
  copyName: hostile,
  oldName: hostile,
  createRoles: [hostile],
  adopts: { roles: [hostile], databases: [hostile] },
  report: { ok: false, tables: 1, rows: 1, differences: [hostile], notes: [hostile] },
};
const adopted = {
  kind: 'adopted',
  by: 'alice',
  reason: 'from the old cron job',
  findings: ["COPY … FROM PROGRAM in line 12, database 'gatus'"],
  allow: ['server-side'],
} as const;
const hostileObstacles = { obstacles: [{ weight: 'hopeless', what: hostile, cure: hostile }] } as const;

const plans: Readonly<Record<string, RestorePlan>> = {
  'swap-before-the-copy': restorePlan({ createRoles: ['reader', 'writer'] }),
  'swap-of-a-verified-copy': restorePlan({ copyOid: 20_000, report: passed }),
  'swap-with-obstacles': restorePlan(
    {
      properties: { from: 'backup', digest: '2'.repeat(64) },
      report: { ...passed, ok: false, differences: ["table 'public.accounts': 3 rows expected, 2 found"] },
    },
    {
      estimates: { ...estimates, sessions: null, freeBytes: null, expectedSeconds: null },
      obstacles: [
        {
          weight: 'hopeless',
          what: "role 'app' is missing on the target",
          cure: 'start again with "missingRoles":"create"',
        },
        {
          weight: 'swap',
          what: "prepared transaction 'tx1' holds the live database",
          cure: 'commit it or roll it back',
        },
        { weight: 'note', what: 'the databases of one backup are not one common snapshot', cure: '' },
      ],
    },
  ),
  'swap-of-one-session': restorePlan({ properties: null }, { estimates: { ...estimates, sessions: 1 } }),
  create: restorePlan({
    kind: 'create',
    target: { ...facts.target, database: 'gatus_check', liveOid: null },
    oldName: null,
    createRoles: ['app'],
  }),
  'create-of-two-tables': restorePlan({
    kind: 'create',
    target: { ...facts.target, database: 'gatus_check', liveOid: null },
    oldName: null,
    selection: {
      schemas: [],
      tables: [
        ['public', 'orders'],
        ['shop', 'a`b'],
      ],
    },
  }),
  'schema-of-a-table-and-a-schema': restorePlan({
    kind: 'schema',
    oldName: null,
    properties: null,
    schema: 'rescued',
    selection: { schemas: ['shop'], tables: [['public', 'orders']] },
  }),
  'swap-from-an-adopted-dump': restorePlan({ source: { ...facts.source, origin: adopted } }),
  'create-from-a-dump-that-nobody-vouches-for': restorePlan({
    kind: 'create',
    oldName: null,
    source: { ...facts.source, origin: { ...adopted, kind: 'surveyed', findings: [], allow: [] } },
  }),
  'cluster-into-an-empty-one': restorePlan({
    kind: 'cluster',
    target: { ...facts.target, database: null, liveOid: null },
    copyName: null,
    oldName: null,
  }),
  'cluster-that-operators-prepared': restorePlan({
    kind: 'cluster',
    target: { ...facts.target, database: null, liveOid: null },
    adopts: { roles: ['app', 'streaming_replica'], databases: ['app'] },
  }),
  'swap-of-hostile-names': restorePlan(hostileFacts, hostileObstacles),
  'create-of-hostile-names': restorePlan({ ...hostileFacts, kind: 'create' }, hostileObstacles),
  'cluster-of-hostile-names': restorePlan({ ...hostileFacts, kind: 'cluster' }, hostileObstacles),
  // what the types allow and no plan should be: it must still be shown
  'swap-without-names': restorePlan({ target: { ...facts.target, database: null }, copyName: null, oldName: null }),
  'create-without-names': restorePlan({ kind: 'create', target: { ...facts.target, database: null }, copyName: null }),
};

describe('a plan in Markdown', () => {
  test.each(Object.entries(plans))('%s reads so', (name, plan) => {
    expectGolden(import.meta.url, `plan-${name}.md`, renderPlan(plan));
  });

  test.each(Object.entries(plans))('%s has only headings and lines of its own, whatever the names', (_name, plan) => {
    const lines = renderPlan(plan).split('\n');
    const headings = lines.filter((line) => line.startsWith('#'));
    expect(headings.length).toBe(1 + (plan.facts.report === null ? 0 : 1) + (plan.obstacles.length === 0 ? 0 : 1));
    for (const line of lines) expect(line).toMatch(/^(### (Plan|Verification:|What stands)|- |$)/);
    expect(renderPlan(plan)).not.toMatch(/[\p{Cs}\u001b\u202e]/u);
  });
});

describe('the commands to paste', () => {
  /** What a shell makes of a command: the words after `temporal`. */
  const words = (command: string) =>
    execFileSync('/bin/sh', ['-c', `temporal() { printf '%s\\0' "$@"; }; ${command}`], { encoding: 'utf8' })
      .split('\0')
      .slice(0, -1);
  const digest = 'a1b2c3d4e5f6'.padEnd(64, '0');

  test.each(['restore/jigga/x1', 'o\'brien $(id) `id` "x"', '-x; rm'])(
    'reach the run %p with JSON that is taken',
    (id) => {
      const commands = decisionCommands(id, digest).split('\n').slice(1, -1);
      expect(commands).toHaveLength(2);
      for (const [index, verb] of (['approve', 'reject'] as const).entries()) {
        const [workflow, signal, , given, , name, , input = ''] = words(commands[index] ?? '');
        expect([workflow, signal, given, name]).toEqual(['workflow', 'signal', id, verb]);
        const gate = { plans: [digest], open: true, expiresAt: null };
        expect(
          judgeDecision(verb, JSON.parse(input.replace('YOUR NAME', 'alice')), gate, '2026-11-21T12:00:00.000Z'),
        ).toMatchObject({
          taken: { planNamed: true },
        });
      }
    },
  );

  test('after a swap are those that can still be given', () => {
    expect(followUpCommands('restore/x', [])).toBe('```\n```');
    const commands = followUpCommands('restore/x', ['release', 'undo']).split('\n').slice(1, -1);
    for (const [index, verb] of (['release', 'undo'] as const).entries()) {
      const given = words(commands[index] ?? '');
      expect(given.slice(0, 6)).toEqual(['workflow', 'signal', '--workflow-id', 'restore/x', '--name', verb]);
      expect(
        judgeFollowUp(verb, JSON.parse((given[7] ?? '').replace('YOUR NAME', 'alice')), true, 'now'),
      ).toHaveProperty('taken');
    }
  });
});
