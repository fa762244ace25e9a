import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import type { WalReport } from '../postgres/wal/receive.ts';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** Counts and times activities. */
  readonly interceptor: (activity: string) => ActivityInboundCallsInterceptor;
  /** How the archive of a cluster's log stands: what is to alert is its age. */
  readonly wal: (cluster: string, report: WalReport) => void;
}

/** What this process itself has done since it started. What backups there are is the catalog's business. */
export function createMetrics(version: string): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'holdfast_build_info',
    help: 'Version of this worker',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  const running = new Gauge({
    name: 'holdfast_activities_running',
    help: 'Activities that run right now',
    labelNames: ['activity'],
    registers: [registry],
  });
  const ended = new Counter({
    name: 'holdfast_activities_total',
    help: 'Activities that ended, by outcome',
    labelNames: ['activity', 'outcome'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'holdfast_activity_seconds',
    help: 'How long activities took',
    labelNames: ['activity'],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400, 43_200],
    registers: [registry],
  });
  const walGauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ['cluster'], registers: [registry] });
  const lagSeconds = walGauge('holdfast_wal_lag_seconds', 'Age of the oldest WAL that is not archived yet');
  const lagBytes = walGauge('holdfast_wal_lag_bytes', 'WAL that is not archived yet');
  const slotBytes = walGauge('holdfast_wal_slot_left_bytes', 'WAL that the server still keeps for the slot');
  const archived = walGauge('holdfast_wal_segments_archived', 'Segments stored since the stream began');
  return {
    registry,
    wal: (cluster, report) => {
      lagSeconds.set({ cluster }, report.lagSeconds);
      lagBytes.set({ cluster }, report.lagBytes);
      archived.set({ cluster }, report.segments);
      const left = report.slot?.safeWalBytes;
      if (left === undefined || left === null) slotBytes.remove({ cluster });
      else slotBytes.set({ cluster }, left);
    },
    interceptor: (activity) => ({
      async execute(input, next) {
        running.inc({ activity });
        const stop = seconds.startTimer({ activity });
        try {
          const result = await next(input);
          ended.inc({ activity, outcome: 'done' });
          return result;
        } catch (error) {
          ended.inc({
            activity,
            outcome: error instanceof Error && error.name === 'CancelledFailure' ? 'cancelled' : 'failed',
          });
          throw error;
        } finally {
          stop();
          running.dec({ activity });
        }
      },
    }),
  };
}
