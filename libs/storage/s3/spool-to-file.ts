/** The content of a put in one request: in memory, or in an unlinked temporary file if it is large. Its length is known. */
import { createHash, randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { OverLimit, Unavailable } from '#domain';
import type { BodySource } from './body-source.ts';

/** The limit of S3 for one request. */
const maxBytes = 5 * 1024 ** 3;

export interface PutContent {
  readonly bytes: number;
  /** The body from its beginning, its length and its checksums, for one attempt. */
  open(): Pick<PutObjectCommandInput, 'Body' | 'ContentLength' | 'ContentMD5' | 'ChecksumCRC32'>;
  discard(): Promise<void>;
}

export function toMemoryContent(body: Buffer): PutContent {
  return { bytes: body.length, open: () => ({ Body: body }), discard: async () => undefined };
}

export async function spoolToFile(source: BodySource, withCrc32: boolean): Promise<PutContent> {
  const path = join(tmpdir(), `millrace-put-${randomUUID()}`);
  const handle = await runOnTempDisk(() => open(path, 'wx+', 0o600));
  const md5 = createHash('md5');
  let crc = 0;
  let bytes = 0;
  try {
    await unlink(path);
    for await (const block of source.rest) {
      md5.update(block);
      if (withCrc32) crc = crc32(block, crc);
      await runOnTempDisk(() => handle.write(block, 0, block.length, bytes));
      bytes += block.length;
      if (bytes > maxBytes) {
        throw new OverLimit('An object in a conditional put can have at most 5 GiB.', {
          code: 'object_too_large',
        });
      }
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  const checks = {
    ContentLength: bytes,
    ContentMD5: md5.digest('base64'),
    ...(withCrc32 && { ChecksumCRC32: encodeCrc32(crc) }),
  };
  return {
    bytes,
    open: () => ({ Body: handle.createReadStream({ start: 0, autoClose: false }), ...checks }),
    discard: () => handle.close(),
  };
}

function encodeCrc32(crc: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(crc);
  return bytes.toString('base64');
}

async function runOnTempDisk<T>(operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw new Unavailable(
      `Can't write an upload to the folder for temporary files (${tmpdir()}). It may be full.`,
      {
        status: 507,
        cause: error,
      },
    );
  }
}
