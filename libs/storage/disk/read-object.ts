/** Opens and reads an object on disk: one open, one stat, and the reads. */
import fs, { type FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { getContentType } from '../content-types.ts';
import { objectNotFound, SegmentDamaged } from '../errors.ts';
import { assertReadSize, resolveRange } from '../ranges.ts';
import type { ReadOptions, StoredObject } from '../object-storage.ts';
import { isMissingError } from './disk-errors.ts';
import { buildEtag } from './object-info.ts';

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
    assertReadSize(bytes);
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

/** `use` closes the file or passes it on. If it throws, the file is closed here. */
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
