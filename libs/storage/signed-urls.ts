/**
 * Signed URLs for the disk storage, which has no server of its own: the API serves `/v1/objects/<key>` to requests with
 * a valid signature. The signature is an HMAC-SHA256 (RFC 2104) over everything that the response depends on, so no part
 * of the URL can be changed, and a URL for one key or method is not valid for another.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { Forbidden, InvalidInput } from '#domain';
import { assertKey } from './keys.ts';
import type { SignOptions } from './object-storage.ts';

/** One week: the limit of S3, used for both storages. */
const maxExpiresInS = 604_800;

export interface UrlSigningOptions {
  /** The public URL of the API, e.g. `https://millrace.example`. May have a path. */
  readonly baseUrl: string;
  /** At least 32 characters, the same in every process that signs or verifies. */
  readonly secret: string;
  /** Secrets that still verify but no longer sign, during a rotation. */
  readonly previousSecrets?: readonly string[];
  /** Clock of a test, in milliseconds since 1970. */
  readonly now?: () => number;
}

/** The parts of a request for a signed URL, parsed and decoded by the web framework. */
export interface SignedUrlRequest {
  readonly method: string;
  /** The path after `/v1/objects/`. */
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

/** Throws `InvalidInput` if a secret is too short or the base URL is not an http URL. */
export function assertSigningOptions(signing: UrlSigningOptions): void {
  for (const secret of [signing.secret, ...(signing.previousSecrets ?? [])]) {
    if (secret.length < 32)
      throw new InvalidInput('A secret for signed URLs must have at least 32 characters.');
  }
  if (!/^https?:$/.test(new URL(signing.baseUrl).protocol)) {
    throw new InvalidInput('The base URL of signed URLs must be an http or https URL.');
  }
}

export function assertExpiry(expiresInS: number): void {
  if (Number.isInteger(expiresInS) && expiresInS >= 1 && expiresInS <= maxExpiresInS) return;
  throw new InvalidInput(`The expiry of a signed URL must be an integer from 1 to ${maxExpiresInS} seconds.`);
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
 * @returns what the URL allows. A signature for GET is also valid for HEAD.
 * @throws Forbidden `invalid_signature` if any part differs from what was signed, `signed_url_expired` after the expiry
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
  const requested = request.method === 'HEAD' ? 'GET' : request.method;
  if (!signed || requested !== method || (method !== 'GET' && method !== 'PUT')) throw invalidSignature();
  assertKey(key);

  const expiresAt = new Date(Number(claims.expires) * 1000);
  if ((signing.now ?? Date.now)() >= expiresAt.getTime()) {
    throw new Forbidden('This signed URL has expired. Request a new one.', { code: 'signed_url_expired' });
  }
  return { key, method, filename, contentType, expiresAt };
}

/** The message is a JSON array, so that two different sets of claims never have the same message. */
function computeMac(secret: string, { method, key, expires, filename, contentType }: Claims): string {
  const message = JSON.stringify(['millrace-object-v1', method, key, expires, filename, contentType]);
  return createHmac('sha256', secret).update(message).digest('base64url');
}

function isEqualConstantTime(given: string, expected: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(expected);
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A repeated parameter arrives as an array. It is rejected: an attacker could choose which value counts. */
function parseSingle(value: unknown): string | null {
  if (value === undefined) return null;
  if (typeof value !== 'string') throw invalidSignature();
  return value;
}

function invalidSignature(): Forbidden {
  return new Forbidden('The signature does not match this URL.', { code: 'invalid_signature' });
}
