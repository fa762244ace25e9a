import type { ActivityInboundCallsInterceptor } from '@temporalio/worker';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';

export interface Metrics {
  readonly registry: Registry;
  /** Counts and times activities. */
  readonly interceptor: (activity: string) => ActivityInboundCallsInterceptor;
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
  return {
    registry,
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
