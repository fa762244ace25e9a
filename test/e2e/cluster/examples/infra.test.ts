import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { openKubernetes, type Namespace, type Seen } from '../../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../../parts/world.ts';
import type { RecoveryPlan } from '../../../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../../../src/workflows/recover-run.ts';
import { detailsOf, endSegment, note, recover, systemOf, until } from '../../recovering.ts';
import { untilFollowUp } from '../../runs.ts';
import { serveToPods, type ServedToPods } from '../serve-to-pods.ts';
import { install, inWorker, valuesOf, type ExampleValues } from './installed.ts';
import { configurationOf, standUp, type Change, type ExampleConfig } from './standing-up.ts';

const kubernetes = openKubernetes();
const cluster = 'infra';
const inPod = { pod: 'postgres-0', container: 'postgres' };

describe('examples/infra', () => {
  let namespace: Namespace;
  let world: World;
  let front: ServedToPods;
  let config: ExampleConfig;
  let values: ExampleValues;

  beforeAll(async () => {
    [namespace, world] = await Promise.all([kubernetes.makeNamespace('infra'), startWorld()]);
    [front, config, values] = await Promise.all([
      serveToPods(world.temporal.address, kubernetes.s3.endpoint),
      configurationOf('infra', namespace),
      valuesOf('infra'),
      standUpAs('today'),
    ]);
    await server.psql('postgres', 'CREATE TABLE notes (text text)');
    await installWorker(config);
    await holdfast('repositories', 'init', 'nas');
  });
  afterAll(async () => {
    await world.stop();
    front.server.close();
    await namespace.remove();
  });

  async function standUpAs(overlay: 'today' | 'holdfast') {
    const { storageClass: value } = kubernetes;
    const claim: Change = { kind: 'PersistentVolumeClaim', op: 'add', path: '/spec/storageClassName', value };
    await standUp(namespace, {
      row: 'infra',
      overlay,
      secrets: {
        'postgres-admin.env': {
          POSTGRES_USER: 'admin',
          POSTGRES_PASSWORD: "it's no secret",
          POSTGRES_HOST: 'postgres-lb',
          POSTGRES_PORT: '5432',
        },
      },
      images: { postgres: kubernetes.image('docker-postgresql-17') },
      changes: [
        { kind: 'StatefulSet', op: 'add', path: '/spec/volumeClaimTemplates/0/spec/storageClassName', value },
        ...(overlay === 'today' ? [claim] : []),
      ],
    });
    await namespace.waitUntil(
      { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'postgres' },
      ({ metadata, status }: Seen) =>
        status?.['observedGeneration'] === metadata?.generation &&
        status?.['readyReplicas'] === 1 &&
        status['updateRevision'] === status['currentRevision'],
      { what: 'its pod is as it should be, and ready' },
    );
  }

  /** @param worker more of the chart's values for it */
  const installWorker = (configuration: ExampleConfig, worker: object = {}) =>
    install(kubernetes, namespace, {
      temporal: front.address,
      config: configuration,
      values: {
        ...values,
        // Stands for the NFS export.
        directories: {
          nas: { mountPath: '/backup', newClaim: { size: '1Gi', storageClass: kubernetes.storageClass } },
        },
        worker: { ...values.worker, graceSeconds: 5, ...worker },
      },
    });
  const holdfast = (...args: readonly string[]) => inWorker(namespace, 'holdfast', ...args);
  const server = {
    psql: (database: string, sql: string) => namespace.psql({ ...inPod, user: 'admin', database, sql }),
  };
  const onVolume = async () =>
    (await namespace.exec({ ...inPod, command: ['ls', '/wal-archive'] })).stdout.trim().split('\n');
  const archive = async () => inWorker(namespace, 'ls', '-R', `/backup/${cluster}/wal/${await systemOf(server)}`);

  /** A segment that is the newest on the volume has to rest for a minute before it is taken over. */
  async function endTwoSegments(): Promise<string> {
    const segment = await endSegment(server);
    await server.psql('postgres', "SELECT pg_logical_emit_message(false, 'test', 'goes on')");
    await endSegment(server);
    return segment;
  }

  async function goOnWriting(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await endTwoSegments();
      await sleep(2_000);
    }
  }

  /** Everything up to now is in the repository. */
  async function untilArchived(): Promise<void> {
    const segment = await endTwoSegments();
    await until(async () => (await archive()).includes(`${segment}.zst`));
  }

  /** Its notes, asked with the line that the run shows; then it is thrown away. */
  async function notesOfCopyAt(target: unknown): Promise<string> {
    const run = await recover(world, target, { cluster });
    await untilFollowUp<RecoveryPlan>(run);
    const [, line = ''] = /```\n(psql .*)\n```/.exec(await detailsOf(world, run.workflowId)) ?? [];
    const sql = "SELECT string_agg(text, ',') FROM notes";
    const notes = await inWorker(namespace, ...line.split(' '), '-XAtq', '-c', sql);
    await holdfast('recover', 'throw-away', run.workflowId, '--reason', 'the rows are there');
    expect((await run.result()) as RecoverResult).toMatchObject({ outcome: 'thrown away' });
    expect(await inWorker(namespace, 'ls', '/instances')).toBe('');
    return notes;
  }

  test('has its base backup and its own archive moved into the repository, and its volume never fills', async () => {
    const segment = await endSegment(server);
    const ending = new AbortController();
    const writing = goOnWriting(ending.signal);
    try {
      expect(await holdfast('backup', 'infra-base')).toContain('done');
    } finally {
      ending.abort();
      await writing;
    }
    await until(async () => !(await onVolume()).includes(segment));
    expect(await server.psql('postgres', 'SELECT count(*) FROM pg_replication_slots')).toBe('0');
  });

  test('is recovered to a time, and stands there for somebody to look', async () => {
    const first = await note(server, 'first');
    await note(server, 'second');
    await untilArchived();
    expect(await notesOfCopyAt({ time: first.at })).toBe('first');
  });

  test('has a dump for another major version beside it', async () => {
    expect(await holdfast('backup', 'infra-weekly')).toContain('done');
  });

  test('is streamed from once its own archive is taken away, with not a row between lost', async () => {
    const infra = { ...config.clusters[cluster], wal: { repository: 'nas' } };
    await installWorker({ ...config, clusters: { infra } }, { extraVolumes: [], extraVolumeMounts: [] });
    await until(async () => (await holdfast('status')).includes('streaming the log of infra'));
    await note(server, 'third');
    await standUpAs('holdfast');
    expect(await server.psql('postgres', 'SHOW archive_mode')).toBe('off');
    await note(server, 'fourth');
    await untilArchived();
    expect(await notesOfCopyAt('latest')).toBe('first,second,third,fourth');
  });
});
