import { type ErrorType, HoldfastError } from '../../domain/errors.ts';

/** What one request is about, for its error. */
export interface Doing {
  /** Such as "writing". */
  readonly verb: string;
  /** The object's key in the repository; '' is the repository. */
  readonly key: string;
  /** What a policy must grant for it, such as s3:PutObject. */
  readonly permission: string;
  /** It may take long before a word comes. */
  readonly isSlow?: boolean;
}

/** What an error of the SDK says, without the server's own words: they may repeat what was sent. */
export interface Answer {
  /** S3's code, such as NoSuchKey; where there was no body to read it from, whatever the SDK makes of it. */
  readonly name: string;
  /** The HTTP status; undefined where nothing was answered. */
  readonly status: number | undefined;
  /** Node's, such as ECONNRESET. */
  readonly code: string | undefined;
}

/** undefined: no error of a request. */
export function answerOf(error: unknown): Answer | undefined {
  if (typeof error !== 'object' || error === null || error instanceof HoldfastError) return undefined;
  const { name, $metadata, code } = error as {
    readonly name?: unknown;
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly code?: unknown;
  };
  const [called, named] = [name, code].map((text) => (typeof text === 'string' ? text : undefined));
  if ($metadata === undefined && named === undefined && !fromTheSdk.has(called ?? '')) return undefined;
  return { name: called ?? 'Error', status: $metadata?.httpStatusCode, code: named };
}

const fromTheSdk: ReadonlySet<string> = new Set(['TimeoutError', 'CredentialsProviderError', 'TokenProviderError']);

/** Not every 404: a bucket that isn't there, or an access key that isn't known, is another matter. */
const missingCodes: ReadonlySet<string> = new Set(['NoSuchKey', 'NoSuchUpload', 'NoSuchVersion', 'NotFound']);

/** The object, the version or the upload isn't there. A HEAD doesn't tell that from a bucket that isn't there. */
export function isMissing(error: unknown): boolean {
  const answer = answerOf(error);
  return answer?.status === 404 && missingCodes.has(answer.name);
}

/** If-None-Match or If-Match wasn't met. */
export const isPreconditionFailed = (error: unknown) => answerOf(error)?.status === 412;

/** The store doesn't know this request. */
export function isUnknownRequest(error: unknown): boolean {
  const answer = answerOf(error);
  return answer !== undefined && (answer.status === 501 || answer.status === 405 || answer.name === 'NotImplemented');
}

const credentialCodes: ReadonlySet<string> = new Set([
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
  'ExpiredToken',
  'InvalidToken',
  'TokenRefreshRequired',
  // versitygw's, with status 404
  'XAdminUserNotFound',
]);

/** The credentials are right and don't suffice. */
export function isDenied(error: unknown): boolean {
  const answer = answerOf(error);
  return answer?.status === 403 && !credentialCodes.has(answer.name);
}

/** A deletion that is refused for a lock has no code of its own: AWS, versitygw and MinIO say it in words. */
export function isAboutLock(error: unknown): boolean {
  const { status = 0 } = answerOf(error) ?? {};
  return status >= 400 && status < 500 && /object lock|WORM|legal hold|retention/i.test((error as Error).message);
}

export function isAboutClock(error: unknown): boolean {
  const name = answerOf(error)?.name;
  return name === 'RequestTimeTooSkewed' || name === 'RequestExpired';
}

/** Worth to look whether the credentials were rotated. A HEAD's answer is a bare 403. */
export function isAboutCredentials(error: unknown): boolean {
  const answer = answerOf(error);
  return answer !== undefined && (credentialCodes.has(answer.name) || answer.status === 401 || answer.status === 403);
}

/** undefined instead of what isn't there. */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

interface Where {
  readonly place: string;
  readonly bucket: string;
  readonly endpoint: string | null;
  readonly region: string;
}

interface Verdict {
  readonly type: ErrorType;
  readonly what: string;
  readonly hint: string;
}

const fullCodes: ReadonlySet<string> = new Set([
  'InsufficientCapacity',
  'InsufficientStorage',
  'QuotaExceeded',
  'StorageFull',
  'XMinioAdminBucketQuotaExceeded',
  'XMinioStorageFull',
]);

function verdictOn({ name, status, code }: Answer, error: object, where: Where, permission: string): Verdict {
  const { bucket, region } = where;
  const store = where.endpoint ?? 'AWS';
  if (name === 'NoSuchBucket') {
    return {
      type: 'StoreNotMounted',
      what: `there is no bucket ${bucket} at ${store}`,
      hint: "make the bucket, or correct 'bucket' and 'endpoint' of the repository",
    };
  }
  if (status === 507 || fullCodes.has(name)) {
    return {
      type: 'StoreFull',
      what: 'the store has no room left, or a quota is used up',
      hint: 'raise the quota, or keep fewer backups',
    };
  }
  if (isAboutClock(error)) {
    return {
      type: 'StoreUnavailable',
      what: "the store says that this machine's clock differs too much from its own",
      hint: "set the clock of the worker's machine (NTP: timedatectl status), or the store's",
    };
  }
  if (credentialCodes.has(name) || status === 401 || (fromTheSdk.has(name) && name !== 'TimeoutError')) {
    return {
      type: 'StoreUnavailable',
      what: 'the store does not accept the credentials',
      hint: "correct the access key and the secret that the repository's 'credentials' refer to; they are read again at the next try",
    };
  }
  const elsewhere = regionIn(error);
  if ((status !== undefined && status >= 300 && status < 400) || (elsewhere !== undefined && elsewhere !== region)) {
    return {
      type: 'StoreUnavailable',
      what: `bucket ${bucket} is not in region ${region}`,
      hint: `set 'region' of the repository to ${elsewhere ?? "the bucket's own"}, or correct 'endpoint'`,
    };
  }
  if (status === 403) {
    return {
      type: 'StoreUnavailable',
      what: 'permission was denied',
      hint: `grant ${permission} on bucket ${bucket} to the repository's access key; without s3:ListBucket a missing object is denied too`,
    };
  }
  if (status === 429 || name === 'SlowDown') {
    return {
      type: 'StoreUnavailable',
      what: 'the store asks for fewer requests',
      hint: 'let fewer policies run at the same time; the run goes on when the store takes requests again',
    };
  }
  if (code !== undefined && /CERT|SSL|TLS|SELF_SIGNED|UNABLE_TO/.test(code)) {
    return {
      type: 'StoreUnavailable',
      what: `the certificate of ${store} is not accepted`,
      hint: "let NODE_EXTRA_CA_CERTS of the worker name the file with the store's certificate authority",
    };
  }
  if (status === undefined || status < 200) {
    return {
      type: 'StoreUnavailable',
      what: `${store} can't be reached or stopped answering`,
      hint: 'look whether the store is well and can be reached from the worker; the run goes on when it answers again',
    };
  }
  return {
    type: 'StoreUnavailable',
    what: 'the store failed',
    hint: 'look whether the store is well; the run goes on when it answers again',
  };
}

/** The region that a redirect names, in its body or its head. */
function regionIn(error: object): string | undefined {
  const { Region, $response } = error as {
    readonly Region?: unknown;
    readonly $response?: { readonly headers?: Readonly<Record<string, string>> };
  };
  if (typeof Region === 'string') return Region;
  return $response?.headers?.['x-amz-bucket-region'];
}

/**
 * An error of a request as a HoldfastError that names what failed, where, and what to do; anything else (a
 * HoldfastError, a bug) as it is. It repeats nothing that the store said but its code.
 */
export function s3Error(error: Error, { verb, key, permission }: Doing, where: Where): Error {
  const answer = answerOf(error);
  if (answer === undefined) return error;
  const { type, what, hint } = verdictOn(answer, error, where, permission);
  const said = [answer.status, answer.code ?? answer.name].filter((part) => part !== undefined).join(' ');
  const object = key === '' ? where.place : `${key} in ${where.place}`;
  return new HoldfastError(type, `${verb} ${object} failed: ${what} (${said})`, hint, { cause: said });
}

/** A failure that s3Error() made of this HTTP status. */
export const cameOf = (error: unknown, status: number) =>
  error instanceof HoldfastError && typeof error.cause === 'string' && error.cause.startsWith(`${String(status)} `);
