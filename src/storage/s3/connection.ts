import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { S3 } from '@aws-sdk/client-s3';
import type { SecretReference } from '../../domain/config.ts';
import { joinKey } from '../../domain/ids.ts';
import { repositoryPlace, type S3Spec } from '../../domain/specs.ts';
import { Credentials } from './credentials.ts';
import { type Doing, isAboutClock, isAboutCredentials, s3Error } from './errors.ts';

/** Defaults are for a store behind the internet; tests are less patient. */
export interface S3Options {
  /** How long a connection may take to be made. */
  readonly connectTimeoutMs?: number;
  /** How long a request or an answer may stand still before it is given up: a connection may be dead without a word. */
  readonly idleTimeoutMs?: number;
  /** The same while an upload is completed: many stores put its parts together without a word, at a disk's pace. */
  readonly completeTimeoutMs?: number;
  /** How often a request is tried before its failure counts. Ten take about half a minute where each fails at once. */
  readonly attempts?: number;
  /** Between tries of what only this room can try again. */
  readonly pauseMs?: number;
  /** How many keys are asked for at once. */
  readonly pageSize?: number;
}

/** Handed on to each request. */
export interface RequestOptions {
  readonly abortSignal?: AbortSignal;
}

/** More connections than a writer and a few readers need only take memory. */
const maxSockets = 32;

/**
 * A bucket and a prefix in it, and a client for them that is made at the first request: the SDK takes a while to load,
 * and many commands never ask.
 */
export class Connection {
  readonly bucket: string;
  /** For messages: s3://bucket/prefix */
  readonly place: string;
  readonly pauseMs: number;
  readonly pageSize: number;
  readonly #spec: S3Spec;
  readonly #options: S3Options;
  readonly #credentials: Credentials | undefined;
  #client: Promise<S3> | undefined;
  #patientClient: Promise<S3> | undefined;

  constructor(spec: S3Spec, readSecret: (reference: SecretReference) => Promise<string>, options: S3Options) {
    this.bucket = spec.s3.bucket;
    this.place = repositoryPlace(spec);
    this.pauseMs = options.pauseMs ?? 1_000;
    this.pageSize = options.pageSize ?? 1_000;
    this.#spec = spec;
    this.#options = options;
    const { credentials } = spec.s3;
    this.#credentials = credentials === null ? undefined : new Credentials(credentials, readSecret);
  }

  /** The bucket's name of an object of the repository. */
  fullKey(key: string): string {
    return joinKey(this.#spec.s3.prefix, key);
  }

  /** What the bucket's names of this repository begin with, before `prefix`. */
  fullPrefix(prefix: string): string {
    return this.#spec.s3.prefix === '' ? prefix : `${this.#spec.s3.prefix}/${prefix}`;
  }

  /** Undoes fullKey(). */
  ownKey(fullKey: string): string {
    return fullKey.slice(this.fullPrefix('').length);
  }

  /**
   * Makes a request and answers what the store did. Credentials that the store refuses are read anew, once: they may
   * have been rotated. Throws a HoldfastError, or the signal's reason; what `act` catches itself is its own business.
   */
  async call<T>(doing: Doing, act: (s3: S3, options: RequestOptions) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const options = signal === undefined ? {} : { abortSignal: signal };
    try {
      const client = await this.#connected(doing.isSlow === true);
      try {
        return await act(client, options);
      } catch (error) {
        signal?.throwIfAborted();
        // The SDK corrects its clock by the store's, but of several requests at a time it repeats only the first.
        if (!isAboutClock(error) && !(isAboutCredentials(error) && (await this.#haveChanged()))) throw error;
        return await act(client, options);
      }
    } catch (error) {
      signal?.throwIfAborted();
      throw this.failure(doing, error as Error);
    }
  }

  /** The HoldfastError that tells of an error of a request; any other error as it is. */
  failure(doing: Doing, error: Error): Error {
    return s3Error(error, doing, { place: this.place, ...this.#spec.s3 });
  }

  /** A little later. Throws the signal's reason. */
  async pause(signal?: AbortSignal): Promise<void> {
    await sleep(this.pauseMs, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
    signal?.throwIfAborted();
  }

  async #haveChanged(): Promise<boolean> {
    return (await this.#credentials?.readAgain()) ?? false;
  }

  #connected(isSlow: boolean): Promise<S3> {
    const { idleTimeoutMs = 60_000, completeTimeoutMs = 1_800_000, attempts = 10 } = this.#options;
    if (isSlow) return (this.#patientClient ??= this.#connect(completeTimeoutMs, Math.min(attempts, 3)));
    return (this.#client ??= this.#connect(idleTimeoutMs, attempts));
  }

  async #connect(idleTimeoutMs: number, attempts: number): Promise<S3> {
    const { S3 } = await import('@aws-sdk/client-s3');
    const { endpoint, region, pathStyle } = this.#spec.s3;
    const { connectTimeoutMs = 10_000 } = this.#options;
    return new S3({
      region,
      forcePathStyle: pathStyle,
      ...(endpoint === null ? {} : { endpoint }),
      ...(this.#credentials === undefined ? {} : { credentials: this.#credentials.provide }),
      // Every body goes with its MD5 and a signature over its SHA-256 already; many stores know no other checksums.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      maxAttempts: attempts,
      retryMode: 'standard',
      requestHandler: {
        connectionTimeout: connectTimeoutMs,
        socketTimeout: idleTimeoutMs,
        httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
        httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
      },
      customUserAgent: 'holdfast',
    });
  }
}
