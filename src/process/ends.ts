import { type Readable, Transform, Writable } from 'node:stream';
import { HoldfastError } from '../domain/errors.ts';
import { asError } from './blame.ts';

const bufferBytes = 262_144;

/** Passes on what comes and keeps back the end until all went well. */
export function gate(source: Readable | null, finished: Promise<unknown>, onAbandoned: () => void): Readable {
  let settled = false;
  const out = new Transform({
    readableHighWaterMark: bufferBytes,
    writableHighWaterMark: bufferBytes,
    transform(chunk, _encoding, done) {
      done(null, chunk);
    },
    flush(done) {
      finished.then(
        () => {
          done();
        },
        (error: unknown) => {
          done(asError(error));
        },
      );
    },
  });
  // Whoever looks only at `finished` must not be killed by an 'error' that nobody listens to.
  out.on('error', () => undefined);
  out.on('close', () => {
    source?.destroy();
    if (!settled && !out.readableEnded) onAbandoned();
  });
  finished.then(
    () => {
      settled = true;
    },
    (error: unknown) => {
      settled = true;
      out.destroy(asError(error));
    },
  );
  if (source === null) {
    out.end();
    out.resume();
    return out;
  }
  source.on('error', (error) => out.destroy(error));
  source.pipe(out);
  return out;
}

/** Writes through to the first command; where that fails, the chain's own error is the one to know. */
export function entrance(
  target: Writable | null,
  name: string,
  finished: Promise<unknown>,
  onAbandoned: (error: Error | null) => void,
): Writable {
  let settled = false;
  const unread = (cause: unknown) =>
    new HoldfastError('ToolFailed', `${name} ended before reading its whole input`, `look at what ${name} was given`, {
      cause,
    });
  const explain = (done: (error: Error) => void, error: Error) => {
    finished.then(
      () => {
        done(unread(error));
      },
      (failure: unknown) => {
        done(asError(failure));
      },
    );
  };
  const input = new Writable({
    highWaterMark: bufferBytes,
    write(chunk: Uint8Array, _encoding, done) {
      if (target === null) {
        explain(done, new Error('not started'));
        return;
      }
      target.write(chunk, (error) => {
        if (error) explain(done, error);
        else done();
      });
    },
    final(done) {
      if (target === null) explain(done, new Error('not started'));
      else {
        // The end of a pipe can't fail in a way that its reader's exit code doesn't tell.
        target.end();
        done();
      }
    },
    destroy(error, done) {
      // While the chain lives its input stays open: an end of file would look like the end of the data.
      if (!settled && !input.writableFinished) onAbandoned(error);
      else if (!input.writableFinished) target?.destroy();
      done(error);
    },
  });
  target?.on('error', () => undefined);
  input.on('error', () => undefined);
  finished.then(
    () => {
      settled = true;
      if (!input.writableFinished) input.destroy(unread(undefined));
    },
    (error: unknown) => {
      settled = true;
      input.destroy(asError(error));
    },
  );
  return input;
}
