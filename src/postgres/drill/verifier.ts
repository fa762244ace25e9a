import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** What a server knows a password by: it lets in whoever has the password, and the password can't be told from it. */
export interface Credential {
  readonly password: string;
  /** `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as PostgreSQL keeps it in pg_authid. */
  readonly verifier: string;
}

const iterations = 4096;

/** 256 random bits: nobody guesses them from the verifier. */
export function newCredential(): Credential {
  const password = randomBytes(32).toString('hex');
  return { password, verifier: scramVerifier(password, randomBytes(16)) };
}

/** RFC 5803, as PostgreSQL writes it. @param password ASCII, which SASLprep leaves as it is */
function scramVerifier(password: string, salt: Buffer): string {
  const salted = pbkdf2Sync(password, salt, iterations, 32, 'sha256');
  const keyed = (text: string) => createHmac('sha256', salted).update(text).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
  const server = keyed('Server Key').toString('base64');
  return `SCRAM-SHA-256$${String(iterations)}:${salt.toString('base64')}$${stored}:${server}`;
}
