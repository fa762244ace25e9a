import type { SecretReference } from '../../domain/config.ts';
import type { S3Credentials } from '../../domain/specs.ts';

interface Identity {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** So long secrets that were read are used before they are read again. */
const freshMs = 60_000;

/** Reads credentials where the configuration says they lie, again and again: they rotate. */
export class Credentials {
  readonly #references: S3Credentials;
  readonly #readSecret: (reference: SecretReference) => Promise<string>;
  #known: { readonly identity: Promise<Identity>; readonly at: number } | undefined;

  constructor(references: S3Credentials, readSecret: (reference: SecretReference) => Promise<string>) {
    this.#references = references;
    this.#readSecret = readSecret;
  }

  /** What the SDK asks. Given out for a moment only, so that it asks before every request. */
  readonly provide = async (): Promise<Identity & { readonly expiration: Date }> => {
    if (this.#known === undefined || performance.now() - this.#known.at > freshMs) this.#read();
    const { identity } = this.#known ?? this.#read();
    return { ...(await identity), expiration: new Date(Date.now() + 1_000) };
  };

  /** Whether they are others now than those that were used last. */
  async readAgain(): Promise<boolean> {
    const before = await this.#known?.identity;
    const now = await this.#read().identity;
    return (
      before === undefined || Object.entries(now).some(([name, value]) => before[name as keyof Identity] !== value)
    );
  }

  #read(): { readonly identity: Promise<Identity>; readonly at: number } {
    const { accessKeyId, secretAccessKey, sessionToken } = this.#references;
    const read = async () => ({
      accessKeyId: await this.#readSecret(accessKeyId),
      secretAccessKey: await this.#readSecret(secretAccessKey),
      ...(sessionToken === null ? {} : { sessionToken: await this.#readSecret(sessionToken) }),
    });
    const known = { identity: read(), at: performance.now() };
    this.#known = known;
    known.identity.catch(() => {
      if (this.#known === known) this.#known = undefined;
    });
    return known;
  }
}
