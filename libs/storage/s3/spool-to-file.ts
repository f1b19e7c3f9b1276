/** A body of known length: in memory, or a stream laid down in a temporary file without a name until that is known. */
import { createHash, randomUUID } from 'node:crypto';
import { open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { PutObjectCommandInput } from '@aws-sdk/client-s3';
import { OverLimit, Unavailable } from '#domain';
import type { BodySource } from './body-source.ts';

/** The most that S3 takes in one request. */
const maxBytes = 5 * 1024 ** 3;

export interface PutContent {
  readonly bytes: number;
  /** The body and what goes with it, from the beginning, for one try. */
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
        throw new OverLimit('An object put under a condition may have 5 GiB at most.', {
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

async function runOnTempDisk<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch (error) {
    throw new Unavailable(`The folder for temporary files (${tmpdir()}) can't hold an upload: is it full?`, {
      status: 507,
      cause: error,
    });
  }
}
