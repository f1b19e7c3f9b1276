/**
 * Adds a part to an upload: streams its bytes to object storage while it counts the lines, and writes the part's row
 * last. Parts may come at the same time, in any order, through any API process.
 */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { createId, maxParts } from '@millrace/contracts';
import type { UploadPartRow, UploadRow, UploadStore } from '#database';
import { InvalidInput, OverLimit, PartLineCounter, Unavailable, type PartLines } from '#domain';
import type { ObjectStorage } from '#storage';
import { assertFormSize, readForm, toUploadFailure } from '../files/read-upload.ts';
import { createRequestAbortSignal } from '../http/client-disconnect.ts';

/** @throws InvalidInput, NotFound, Conflict, OverLimit, Unavailable; then nothing of the part is stored. */
export type AddPart = (
  workspaceId: string,
  uploadId: string,
  request: FastifyRequest,
) => Promise<UploadPartRow>;
export const ADD_PART = Symbol('add part');

export interface AddPartDeps {
  readonly uploads: UploadStore;
  readonly objects: ObjectStorage;
  /** Of one part. */
  readonly maxBytes: number;
}

export function addPartWith(deps: AddPartDeps): AddPart {
  return async (workspaceId, uploadId, request) => {
    if (!request.isMultipart()) {
      throw new InvalidInput('Send the part as multipart/form-data, in the field `data`.', { param: 'data' });
    }
    assertFormSize(request, deps.maxBytes, partTooLarge);
    const signal = createRequestAbortSignal(request);
    const upload = await deps.uploads.getPending(workspaceId, uploadId);
    signal.throwIfAborted();
    return addFormPart(upload, readForm(request, deps.maxBytes), signal, deps);
  };
}

interface StoredPart {
  readonly id: string;
  readonly key: string;
  readonly lineCounts: PartLines;
}

async function addFormPart(
  upload: UploadRow,
  form: AsyncIterable<Multipart>,
  signal: AbortSignal,
  deps: AddPartDeps,
): Promise<UploadPartRow> {
  let stored: StoredPart | null = null;
  try {
    for await (const part of form) {
      if (part.type === 'field' && part.fieldname !== 'data') continue;
      if (part.type === 'field' || part.fieldname !== 'data' || stored)
        throw new InvalidInput('Send the bytes of one part as a file, in the field `data`.', {
          param: 'data',
        });
      stored = await storePart(upload, part, signal, deps);
    }
    if (!stored) throw new InvalidInput('The field `data` is missing.', { param: 'data' });
    if (stored.lineCounts.bytes === 0)
      throw new InvalidInput('The part is empty.', { code: 'empty_part', param: 'data' });
    // Twice the file and one part: a client sends a part again when it did not get the answer.
    const limits = { parts: maxParts, bytes: 2 * upload.bytes + deps.maxBytes };
    return await deps.uploads.addPart(upload.workspaceId, upload.id, stored, limits);
  } catch (error) {
    // If Postgres did not answer, the row may exist: then its object has to exist too.
    if (stored && !(error instanceof Unavailable)) {
      await deps.objects.delete([stored.key]).catch(() => undefined);
    }
    throw error;
  }
}

async function storePart(
  { workspaceId, id: uploadId }: UploadRow,
  part: MultipartFile,
  signal: AbortSignal,
  { objects, maxBytes }: AddPartDeps,
): Promise<StoredPart> {
  const id = createId('part');
  const key = `${workspaceId}/uploads/${uploadId}/${id}`;
  const counter = new PartLineCounter();
  await objects.put(key, countBytes(part, maxBytes, counter), { signal });
  return { id, key, lineCounts: counter.end() };
}

/** The bytes as they are sent: a part of a gzip file cannot be expanded on its own. */
async function* countBytes(
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

function partTooLarge(maxBytes: number): OverLimit {
  return new OverLimit(`The part is larger than the limit of ${maxBytes} bytes. Send smaller parts.`, {
    code: 'part_too_large',
    param: 'data',
  });
}
