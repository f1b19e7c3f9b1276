/**
 * What was sent is what the server holds: each body goes with its MD5, and the ETag that comes back must be that
 * MD5, where the server's ETags are MD5s at all (not under SSE-KMS, nor on every server). A difference is tried
 * again like any other fault of the network.
 */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

export interface EtagFormat {
  /** Set once a probe has shown that this bucket's ETags are the MD5s of what was put. */
  isMd5: boolean;
}

/** The server acknowledged other bytes than were sent; the retries of the SDK take it for a passing fault. */
export class ChecksumMismatch extends Error {
  override readonly name = 'OtherBytes';
  readonly $retryable = { throttling: false };
  constructor() {
    super('The ETag is not the MD5 of what was sent.');
  }
}

interface ChecksumContext {
  millraceMd5?: string;
}

const commandsWithBody = new Set(['PutObjectCommand', 'UploadPartCommand', 'DeleteObjectsCommand']);

/** Puts both halves into the client's stack; ETags are believed to be anything until the trust says otherwise. */
export function verifyChecksums(client: S3Client): EtagFormat {
  const trust: EtagFormat = { isMd5: false };
  client.middlewareStack.add(
    (next, context) => (args) => {
      const { body, headers } = args.request as { body: unknown; headers: Record<string, string> };
      if (
        commandsWithBody.has(context['commandName'] as string) &&
        (typeof body === 'string' || body instanceof Uint8Array)
      ) {
        const digest = createHash('md5').update(body).digest();
        headers['content-md5'] = digest.toString('base64');
        (context as ChecksumContext).millraceMd5 = digest.toString('hex');
      }
      return next(args);
    },
    { step: 'build', name: 'millraceContentMd5', priority: 'low' },
  );
  client.middlewareStack.add(
    // Inside the client's retries, so that what it throws is one more reason to send again.
    (next, context) => async (args) => {
      const result = await next(args).catch((error: unknown) => {
        throw isTransferError(error) ? Object.assign(error, { $retryable: { throttling: false } }) : error;
      });
      const { millraceMd5: sent } = context as ChecksumContext;
      const output = result.output as { ETag?: string };
      const isComparable =
        trust.isMd5 && sent !== undefined && output.ETag !== undefined && !isEncrypted(output);
      if (isComparable && unquoteEtag(output.ETag) !== sent) throw new ChecksumMismatch();
      return result;
    },
    { step: 'deserialize', name: 'millraceEtag', priority: 'high' },
  );
  return trust;
}

export function unquoteEtag(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

/** The MD5 that an ETag is, or null where it can't be one: of parts, or of what was encrypted with a key. */
export function parseMd5(etag: string | undefined, answer: object): string | null {
  const found = unquoteEtag(etag);
  return /^[0-9a-f]{32}$/.test(found) && !isEncrypted(answer) ? found : null;
}

function isEncrypted(answer: object): boolean {
  const { ServerSideEncryption, SSECustomerAlgorithm } = answer as Record<string, string | undefined>;
  return SSECustomerAlgorithm !== undefined || ServerSideEncryption?.startsWith('aws:kms') === true;
}

function isTransferError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    ['BadDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody'].includes(error.name)
  );
}
