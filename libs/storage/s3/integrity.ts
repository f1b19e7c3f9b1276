/**
 * What was sent is what the server holds: each body goes with its MD5, and the ETag that comes back must be that
 * MD5, where the server's ETags are MD5s at all (not under SSE-KMS, nor on every server). A difference is tried
 * again like any other fault of the network.
 */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

export interface EtagTrust {
  /** Set once a probe has shown that this bucket's ETags are the MD5s of what was put. */
  isMd5: boolean;
}

/** The server acknowledged other bytes than were sent; the retries of the SDK take it for a passing fault. */
export class OtherBytes extends Error {
  override readonly name = 'OtherBytes';
  readonly $retryable = { throttling: false };
  constructor() {
    super('The ETag is not the MD5 of what was sent.');
  }
}

interface Sent {
  millraceMd5?: string;
}

const withBody = new Set(['PutObjectCommand', 'UploadPartCommand', 'DeleteObjectsCommand']);

/** Puts both halves into the client's stack; ETags are believed to be anything until the trust says otherwise. */
export function watchIntegrity(client: S3Client): EtagTrust {
  const trust: EtagTrust = { isMd5: false };
  client.middlewareStack.add(
    (next, context) => (args) => {
      const { body, headers } = args.request as { body: unknown; headers: Record<string, string> };
      if (
        withBody.has(context['commandName'] as string) &&
        (typeof body === 'string' || body instanceof Uint8Array)
      ) {
        const digest = createHash('md5').update(body).digest();
        headers['content-md5'] = digest.toString('base64');
        (context as Sent).millraceMd5 = digest.toString('hex');
      }
      return next(args);
    },
    { step: 'build', name: 'millraceContentMd5', priority: 'low' },
  );
  client.middlewareStack.add(
    // Inside the client's retries, so that what it throws is one more reason to send again.
    (next, context) => async (args) => {
      const result = await next(args).catch((error: unknown) => {
        throw damagedOnTheWay(error) ? Object.assign(error, { $retryable: { throttling: false } }) : error;
      });
      const { millraceMd5: sent } = context as Sent;
      const output = result.output as { ETag?: string };
      const isComparable =
        trust.isMd5 && sent !== undefined && output.ETag !== undefined && !isEncrypted(output);
      if (isComparable && unquoted(output.ETag) !== sent) throw new OtherBytes();
      return result;
    },
    { step: 'deserialize', name: 'millraceEtag', priority: 'high' },
  );
  return trust;
}

export function unquoted(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

/** The MD5 that an ETag is, or null where it can't be one: of parts, or of what was encrypted with a key. */
export function md5In(etag: string | undefined, answer: object): string | null {
  const found = unquoted(etag);
  return /^[0-9a-f]{32}$/.test(found) && !isEncrypted(answer) ? found : null;
}

function isEncrypted(answer: object): boolean {
  const { ServerSideEncryption, SSECustomerAlgorithm } = answer as Record<string, string | undefined>;
  return SSECustomerAlgorithm !== undefined || ServerSideEncryption?.startsWith('aws:kms') === true;
}

function damagedOnTheWay(error: unknown): error is Error {
  return (
    error instanceof Error &&
    ['BadDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody'].includes(error.name)
  );
}
