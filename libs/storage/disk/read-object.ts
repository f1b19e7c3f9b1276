/** Opening and reading what is there: one open, one stat, and the bytes. */
import fs, { type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { OverLimit } from '#domain';
import { getContentType } from '../content-types.ts';
import { SegmentDamaged } from '../errors.ts';
import { resolveRange } from '../ranges.ts';
import type { ReadOptions, StoredObject } from '../object-storage.ts';
import { isMissingError, objectNotFound } from './disk-errors.ts';
import { buildEtag } from './object-info.ts';

const maxReadBytes = 256 * 1024 * 1024;

export async function openObject(file: string, key: string, options: ReadOptions): Promise<StoredObject> {
  return useFile(file, key, options, async (handle, totalBytes, etag) => {
    const range = resolveRange(totalBytes, options);
    const { start, end } = range ?? { start: 0, end: totalBytes - 1 };
    const bytes = end - start + 1;
    const { signal } = options;
    let stream: Readable;
    if (bytes === 0) {
      await handle.close();
      stream = Readable.from([], { objectMode: false });
    } else {
      stream = handle.createReadStream({ start, end, highWaterMark: 256 * 1024, ...(signal && { signal }) });
    }
    return { stream, bytes, totalBytes, etag, contentType: getContentType(key), range };
  });
}

export async function readObject(file: string, key: string, options: ReadOptions): Promise<Buffer> {
  return useFile(file, key, options, async (handle, totalBytes) => {
    const { start, end } = resolveRange(totalBytes, options) ?? { start: 0, end: totalBytes - 1 };
    const bytes = end - start + 1;
    if (bytes > maxReadBytes) {
      throw new OverLimit('This is too much to be read at once; open it as a stream.', {
        code: 'read_too_large',
      });
    }
    const buffer = Buffer.allocUnsafe(bytes);
    let done = 0;
    while (done < bytes) {
      const { bytesRead } = await handle.read(buffer, done, bytes - done, start + done);
      if (bytesRead === 0) throw new SegmentDamaged(key, totalBytes, start + done);
      done += bytesRead;
    }
    await handle.close();
    return buffer;
  });
}

/** `use` closes the file, or hands it on; when anything throws it is closed here. */
async function useFile<T>(
  file: string,
  key: string,
  { expectedBytes, signal }: ReadOptions,
  use: (handle: FileHandle, totalBytes: number, etag: string) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const handle = await fs.open(file, 'r').catch((error: unknown) => {
    throw isMissingError(error) ? objectNotFound(error) : error;
  });
  try {
    const stat = await handle.stat({ bigint: true });
    if (!stat.isFile()) throw objectNotFound();
    const totalBytes = Number(stat.size);
    if (expectedBytes !== undefined && expectedBytes !== totalBytes) {
      throw new SegmentDamaged(key, expectedBytes, totalBytes);
    }
    return await use(handle, totalBytes, buildEtag(stat));
  } catch (error) {
    await handle.close().catch(() => undefined);
    throw error;
  }
}
