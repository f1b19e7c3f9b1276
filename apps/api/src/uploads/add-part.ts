/**
 * One part of an upload on its way in: its bytes stream to the object store while its lines are counted, and only
 * then is its row written. Parts come in parallel, in any order, through any API process.
 */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import { maxParts, newId } from '@millrace/contracts';
import type { UploadPartRow, UploadRow, UploadStore } from '#database';
import { InvalidInput, OverLimit, PartLineCounter, Unavailable, type PartLines } from '#domain';
import type { ObjectStore } from '#storage';
import { toUploadFailure } from '../files/read-upload.ts';
import { readParts } from '../files/upload-file.ts';

export interface AddPartOptions {
  readonly uploads: UploadStore;
  readonly objects: ObjectStore;
  /** Of one part. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

interface StoredPart {
  readonly id: string;
  readonly key: string;
  readonly lineCounts: PartLines;
}

/** @throws InvalidInput, Conflict, OverLimit, Unavailable; nothing of the part is left behind then. */
export async function addPart(
  upload: UploadRow,
  form: AsyncIterable<Multipart>,
  deps: AddPartOptions,
): Promise<UploadPartRow> {
  let stored: StoredPart | null = null;
  try {
    for await (const part of readParts(form)) {
      if (part.type === 'field' && part.fieldname !== 'data') continue;
      if (part.type === 'field' || part.fieldname !== 'data' || stored)
        throw new InvalidInput('Send the bytes of one part as a file, in the field `data`.', {
          param: 'data',
        });
      stored = await storePart(upload, part, deps);
    }
    if (!stored) throw new InvalidInput('The field `data` is missing.', { param: 'data' });
    if (stored.lineCounts.bytes === 0)
      throw new InvalidInput('The part is empty.', { code: 'empty_part', param: 'data' });
    // Twice the file, and a part: those whose answer was lost are sent again.
    const limits = { parts: maxParts, bytes: 2 * upload.bytes + deps.maxBytes };
    return await deps.uploads.addPart(upload.workspaceId, upload.id, stored, limits);
  } catch (error) {
    // Where Postgres went away while it was asked, the row may be there: its object must be too.
    const isForgotten = stored && !(error instanceof Unavailable);
    if (isForgotten) await deps.objects.delete([stored!.key]).catch(() => undefined);
    throw error;
  }
}

async function storePart(
  { workspaceId, id: uploadId }: UploadRow,
  part: MultipartFile,
  { objects, maxBytes, signal }: AddPartOptions,
): Promise<StoredPart> {
  const id = newId('part');
  const key = `${workspaceId}/uploads/${uploadId}/${id}`;
  const counter = new PartLineCounter();
  await objects.put(key, countedBytes(part, maxBytes, counter), { signal });
  return { id, key, lineCounts: counter.end() };
}

/** As they come: a part of a gzip file is none. */
async function* countedBytes(
  { file }: MultipartFile,
  maxBytes: number,
  counter: PartLineCounter,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of file as AsyncIterable<Buffer>) {
      counter.add(chunk);
      if (counter.bytes > maxBytes) throw partTooLarge(maxBytes);
      yield chunk;
    }
  } catch (error) {
    throw toUploadFailure(error);
  }
}

export function partTooLarge(maxBytes: number): OverLimit {
  return new OverLimit(
    `The part is larger than ${maxBytes} bytes, the most that one may have. Send smaller ones.`,
    {
      code: 'part_too_large',
      param: 'data',
    },
  );
}
