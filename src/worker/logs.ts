import type { Logger } from '@temporalio/worker';
import { pino, type Logger as Pino } from 'pino';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** JSON lines on standard error: standard output stays free for whoever runs the worker. */
export const createLog = (level: LogLevel): Pino =>
  pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    pino.destination(2),
  );

/** Temporal's own messages in the same log. */
export function temporalLogger(log: Pino): Logger {
  const write = (level: 'trace' | 'debug' | 'info' | 'warn' | 'error', message: string, meta?: object) => {
    log[level]({ ...plain(meta) }, message);
  };
  return {
    log: (level, message, meta) => {
      write(level.toLowerCase() as 'info', message, meta);
    },
    trace: (message, meta) => {
      write('trace', message, meta);
    },
    debug: (message, meta) => {
      write('debug', message, meta);
    },
    info: (message, meta) => {
      write('info', message, meta);
    },
    warn: (message, meta) => {
      write('warn', message, meta);
    },
    error: (message, meta) => {
      write('error', message, meta);
    },
  };
}

/** Errors in a log line's members become text; what JSON can't hold is left out. */
function plain(meta: object = {}): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(meta).flatMap(([key, value]: [string, unknown]) => {
      if (typeof value === 'bigint') return [[key, String(value)]];
      if (value instanceof Error) return [[key, { type: value.name, message: value.message, stack: value.stack }]];
      return typeof value === 'function' || typeof value === 'symbol' ? [] : [[key, value]];
    }),
  );
}
