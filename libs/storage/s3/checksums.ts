/**
 * Verifies what was sent: each body is sent with its MD5, and the ETag of the response must be that MD5 if the server's
 * ETags are MD5s (not with SSE-KMS, and not on every server). A difference is retried like a network fault.
 */
import { createHash } from 'node:crypto';
import type { S3Client } from '@aws-sdk/client-s3';

export interface EtagFormat {
  /** Set when a probe has shown that the ETags of this bucket are MD5s. */
  isMd5: boolean;
}

/** The server confirmed other bytes than were sent. `$retryable` makes the SDK retry it. */
export class ChecksumMismatch extends Error {
  override readonly name = 'ChecksumMismatch';
  readonly $retryable = { throttling: false };
  constructor() {
    super('The ETag is not the MD5 of the bytes sent.');
  }
}

interface ChecksumContext {
  millraceMd5?: string;
}

const commandsWithBody = new Set(['PutObjectCommand', 'UploadPartCommand', 'DeleteObjectsCommand']);

/** Adds both checks to the client. ETags are compared once `isMd5` of the result is set. */
export function verifyChecksums(client: S3Client): EtagFormat {
  const etagFormat: EtagFormat = { isMd5: false };
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
    // Within the client's retries, so that an error thrown here is retried.
    (next, context) => async (args) => {
      const result = await next(args).catch((error: unknown) => {
        throw isTransferError(error) ? Object.assign(error, { $retryable: { throttling: false } }) : error;
      });
      const { millraceMd5: sent } = context as ChecksumContext;
      const output = result.output as { ETag?: string };
      const isComparable =
        etagFormat.isMd5 && sent !== undefined && output.ETag !== undefined && !isEncrypted(output);
      if (isComparable && unquoteEtag(output.ETag) !== sent) throw new ChecksumMismatch();
      return result;
    },
    { step: 'deserialize', name: 'millraceEtag', priority: 'high' },
  );
  return etagFormat;
}

export function unquoteEtag(etag: string | undefined): string {
  return (etag ?? '').replace(/^(?:W\/)?"?|"$/g, '');
}

/** Returns the MD5 in an ETag; null if it is none: for a multipart upload, or for encryption with a key. */
export function parseMd5(etag: string | undefined, response: object): string | null {
  const found = unquoteEtag(etag);
  return /^[0-9a-f]{32}$/.test(found) && !isEncrypted(response) ? found : null;
}

function isEncrypted(response: object): boolean {
  const { ServerSideEncryption, SSECustomerAlgorithm } = response as Record<string, string | undefined>;
  return SSECustomerAlgorithm !== undefined || ServerSideEncryption?.startsWith('aws:kms') === true;
}

function isTransferError(error: unknown): error is Error {
  return (
    error instanceof Error &&
    ['BadDigest', 'XAmzContentSHA256Mismatch', 'IncompleteBody'].includes(error.name)
  );
}
