/**
 * Uploads a file: reads the form's parts as they arrive, streams the file to object storage (gzip is expanded) while
 * it counts the lines, and writes the file's row last.
 */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { createId, uploadFields } from '@millrace/contracts';
import type { FileRow, FileStore } from '#database';
import { countLines, InvalidInput, LineCounter, Unavailable } from '#domain';
import type { ObjectStorage } from '#storage';
import { createRequestAbortSignal } from '../http/client-disconnect.ts';
import { toInvalidInput } from '../http/schema.pipe.ts';
import { assertFilename, expandedFilename, isJsonLines } from './filename.ts';
import { assertFormSize, fileTooLarge, readForm, readUpload } from './read-upload.ts';
import { fileLifetimeS } from './store-lines.ts';

/** @throws InvalidInput, OverLimit, Unavailable; then nothing of the upload is stored. */
export type UploadFile = (workspaceId: string, request: FastifyRequest) => Promise<FileRow>;
export const UPLOAD_FILE = Symbol('upload file');

export interface UploadFileDeps {
  readonly files: FileStore;
  readonly objects: ObjectStorage;
  /** Of one file, expanded if compressed. */
  readonly maxBytes: number;
}

interface StoredUpload {
  readonly id: string;
  readonly key: string;
  readonly filename: string;
  readonly counter: LineCounter;
  readonly lineIndex: Buffer;
}

export function uploadFileWith(deps: UploadFileDeps): UploadFile {
  return async (workspaceId, request) => {
    if (!request.isMultipart()) {
      throw new InvalidInput('Send the file as multipart/form-data, in the field `file`.', { param: 'file' });
    }
    assertFormSize(request, deps.maxBytes, fileTooLarge);
    const form = readForm(request, deps.maxBytes);
    return storeUpload(workspaceId, form, createRequestAbortSignal(request), deps);
  };
}

async function storeUpload(
  workspaceId: string,
  form: AsyncIterable<Multipart>,
  signal: AbortSignal,
  deps: UploadFileDeps,
): Promise<FileRow> {
  const fields = new Map<string, unknown>();
  let stored: StoredUpload | null = null;
  try {
    for await (const part of form) {
      if (part.type === 'field') fields.set(part.fieldname, part.value);
      else if (part.fieldname !== 'file' || stored)
        throw new InvalidInput('Send one file, in the field `file`.', { param: 'file' });
      else stored = await storePart(workspaceId, part, fields.get('purpose'), signal, deps);
    }
    if (!stored) throw new InvalidInput('The field `file` is missing.', { param: 'file' });
    return await createFileRow(workspaceId, stored, fields, deps.files);
  } catch (error) {
    // If Postgres did not answer, the row may exist: then its object has to exist too.
    if (stored && !(error instanceof Unavailable)) {
      await deps.objects.delete([stored.key]).catch(() => undefined);
    }
    throw error;
  }
}

async function storePart(
  workspaceId: string,
  part: MultipartFile,
  purpose: unknown,
  signal: AbortSignal,
  { objects, maxBytes }: UploadFileDeps,
): Promise<StoredUpload> {
  const { filename } = part;
  assertFilename(filename, purpose);
  const id = createId('file');
  const key = `${workspaceId}/files/${id}.${isJsonLines(filename) ? 'jsonl' : 'bin'}`;
  const counter = new LineCounter();
  await objects.put(key, countLines(readUpload(part, maxBytes), counter), { signal });
  return { id, key, filename, counter, lineIndex: counter.end() };
}

async function createFileRow(
  workspaceId: string,
  { id, key, filename, counter, lineIndex }: StoredUpload,
  fields: ReadonlyMap<string, unknown>,
  files: FileStore,
): Promise<FileRow> {
  const { purpose, expires_after } = parseFields(fields);
  // A form may name its purpose after the file.
  assertFilename(filename, purpose);
  return files.create(workspaceId, {
    id,
    purpose,
    filename: expandedFilename(filename),
    segments: [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }],
    expiresInS: fileLifetimeS(purpose, expires_after?.seconds),
  });
}

/** `expires_after[anchor]` and `expires_after[seconds]` become one object. */
function parseFields(fields: ReadonlyMap<string, unknown>) {
  const nested = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of fields) {
    const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
    if (outer && inner) nested[outer] = { ...(nested[outer] as object), [inner]: value };
    else nested[name] = value;
  }
  const parsed = uploadFields.safeParse(nested);
  if (parsed.success) return parsed.data;
  throw toInvalidInput(parsed.error.issues);
}
