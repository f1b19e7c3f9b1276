/**
 * Signed URLs of stores that have no server of their own (disk): the API serves `/v1/objects/<key>` to whoever
 * bears a signature made here. HMAC-SHA256 (RFC 2104) over everything the answer depends on, so that nothing in
 * the address can be changed, and a URL for one key or method is worth nothing for another.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Forbidden, InvalidInput } from '#domain';
import { assertKey } from './keys.ts';
import type { SignOptions } from './object-storage.ts';

/** A week, as S3 has it: what a signed URL of either store can promise. */
const maxExpiresInS = 604_800;

export interface UrlSigningOptions {
  /** Where the API is reached from outside, e.g. `https://millrace.example`; a path of its own is kept. */
  readonly baseUrl: string;
  /** At least 32 characters, the same in every process that signs or verifies. */
  readonly secret: string;
  /** Secrets that no longer sign but still verify, while a rotation is under way. */
  readonly previousSecrets?: readonly string[];
  /** Milliseconds since 1970; a test's clock. */
  readonly now?: () => number;
}

/** What a request for a signed URL consists of, as a web framework has already taken it apart and decoded it. */
export interface SignedUrlRequest {
  readonly method: string;
  /** What follows `/v1/objects/` in the path. */
  readonly key: string;
  readonly query: Readonly<Record<string, unknown>>;
}

export interface SignedUrlGrant {
  readonly key: string;
  readonly method: 'GET' | 'PUT';
  readonly filename: string | null;
  readonly contentType: string | null;
  readonly expiresAt: Date;
}

interface Claims {
  readonly method: string;
  readonly key: string;
  readonly expires: string;
  readonly filename: string | null;
  readonly contentType: string | null;
}

/** Throws where signing could not be trusted; for a store to call when it is made. */
export function assertSigningOptions(signing: UrlSigningOptions): void {
  for (const secret of [signing.secret, ...(signing.previousSecrets ?? [])]) {
    if (secret.length < 32) throw new InvalidInput('A secret for signed URLs has 32 characters or more.');
  }
  if (!/^https?:$/.test(new URL(signing.baseUrl).protocol)) {
    throw new InvalidInput('The base of signed URLs is an http or https address.');
  }
}

export function assertExpiry(expiresInS: number): void {
  if (Number.isInteger(expiresInS) && expiresInS >= 1 && expiresInS <= maxExpiresInS) return;
  throw new InvalidInput(`A signed URL expires in 1 to ${maxExpiresInS} whole seconds.`);
}

export function signUrl(signing: UrlSigningOptions, key: string, options: SignOptions): string {
  assertKey(key);
  const { method, expiresInS, filename = null, contentType = null } = options;
  assertExpiry(expiresInS);
  const now = signing.now ?? Date.now;
  const expires = String(Math.floor(now() / 1000) + expiresInS);
  const url = new URL(`${signing.baseUrl.replace(/\/+$/, '')}/v1/objects/${key}`);
  url.searchParams.set('method', method);
  url.searchParams.set('expires', expires);
  if (filename !== null) url.searchParams.set('filename', filename);
  if (contentType !== null) url.searchParams.set('content_type', contentType);
  url.searchParams.set(
    'signature',
    computeMac(signing.secret, { method, key, expires, filename, contentType }),
  );
  return url.href;
}

/**
 * @returns what the bearer may do; a GET's signature is good for HEAD too
 * @throws Forbidden `invalid_signature` for anything that was not signed as it stands, `signed_url_expired` for what was
 */
export function verifySignedUrl(
  signing: Pick<UrlSigningOptions, 'secret' | 'previousSecrets' | 'now'>,
  request: SignedUrlRequest,
): SignedUrlGrant {
  const { query, key } = request;
  const claims: Claims = {
    key,
    method: parseSingle(query['method']) ?? '',
    expires: parseSingle(query['expires']) ?? '',
    filename: parseSingle(query['filename']),
    contentType: parseSingle(query['content_type']),
  };
  const { method, filename, contentType } = claims;
  const signature = parseSingle(query['signature']) ?? '';
  const secrets = [signing.secret, ...(signing.previousSecrets ?? [])];
  const signed = secrets.some((secret) => isEqualConstantTime(signature, computeMac(secret, claims)));
  const asked = request.method === 'HEAD' ? 'GET' : request.method;
  if (!signed || asked !== method || (method !== 'GET' && method !== 'PUT')) throw invalidSignature();
  assertKey(key);

  const expiresAt = new Date(Number(claims.expires) * 1000);
  if ((signing.now ?? Date.now)() >= expiresAt.getTime()) {
    throw new Forbidden('This signed URL has expired; ask for a new one.', { code: 'signed_url_expired' });
  }
  return { key, method, filename, contentType, expiresAt };
}

/** A JSON array, so that no two sets of claims are ever written the same way. */
function computeMac(secret: string, { method, key, expires, filename, contentType }: Claims): string {
  const message = JSON.stringify(['millrace-object-v1', method, key, expires, filename, contentType]);
  return createHmac('sha256', secret).update(message).digest('base64url');
}

function isEqualConstantTime(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A parameter given twice reaches us as an array: which one would count is for an attacker to choose. */
function parseSingle(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string') throw invalidSignature();
  return value;
}

function invalidSignature(): Forbidden {
  return new Forbidden('The signature does not match this address.', { code: 'invalid_signature' });
}
