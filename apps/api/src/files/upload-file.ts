/**
 * An upload's way in: the parts are read as they come, the file streams (expanded, where it is gzip) to the
 * object store while its lines are counted, and only then is the file's row written.
 */
import type { Multipart, MultipartFile } from '@fastify/multipart';
import { newId, uploadFields } from '@millrace/contracts';
import type { FileRow, FileStore } from '#database';
import { countLines, InvalidInput, LineCounter, Unavailable } from '#domain';
import type { ObjectStore } from '#storage';
import { fileLifetimeS } from './store-lines.ts';
import { toUploadFailure, readUpload, isCompressed } from './read-upload.ts';

export interface UploadOptions {
  readonly files: FileStore;
  readonly objects: ObjectStore;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

interface StoredUpload {
  readonly id: string;
  readonly key: string;
  readonly filename: string;
  readonly counter: LineCounter;
  readonly lineIndex: Buffer;
}

/** @throws InvalidInput, OverLimit, Unavailable; nothing of the upload is left behind then. */
export async function uploadFile(
  workspaceId: string,
  parts: AsyncIterable<Multipart>,
  options: UploadOptions,
): Promise<FileRow> {
  const fields = new Map<string, unknown>();
  let stored: StoredUpload | null = null;
  try {
    for await (const part of readParts(parts)) {
      if (part.type === 'field') fields.set(part.fieldname, part.value);
      else if (part.fieldname !== 'file' || stored)
        throw new InvalidInput('Send one file, in the field `file`.', { param: 'file' });
      else stored = await storePart(workspaceId, part, fields.get('purpose'), options);
    }
    if (!stored) throw new InvalidInput('The field `file` is missing.', { param: 'file' });
    return await createFileRow(workspaceId, stored, fields, options.files);
  } catch (error) {
    // Where Postgres went away while it was asked, the row may be there: its object must be too.
    const isForgotten = stored && !(error instanceof Unavailable);
    if (isForgotten) await options.objects.delete([stored!.key]).catch(() => undefined);
    throw error;
  }
}

export async function* readParts(parts: AsyncIterable<Multipart>): AsyncGenerator<Multipart> {
  try {
    yield* parts;
  } catch (error) {
    throw toUploadFailure(error);
  }
}

async function storePart(
  workspaceId: string,
  part: MultipartFile,
  purpose: unknown,
  { objects, maxBytes, signal }: UploadOptions,
): Promise<StoredUpload> {
  const { filename } = part;
  assertFilename(filename, purpose);
  const id = newId('file');
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
  assertFilename(filename, purpose);
  return files.create(workspaceId, {
    id,
    purpose,
    filename: expandedFilename(filename),
    segments: [{ key, bytes: counter.bytes, lines: counter.lines, lineIndex }],
    expiresInS: fileLifetimeS(purpose, expires_after?.seconds),
  });
}

/** `expires_after[seconds]` and its kind are folded into one object. */
function parseFields(fields: ReadonlyMap<string, unknown>) {
  const nested = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of fields) {
    const [, outer, inner] = /^(\w+)\[(\w+)\]$/.exec(name) ?? [];
    if (outer && inner) nested[outer] = { ...(nested[outer] as object), [inner]: value };
    else nested[name] = value;
  }
  const parsed = uploadFields.safeParse(nested);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const param = issue.path.join('.');
  throw new InvalidInput(`'${param}': ${issue.message}.`, { param });
}

export const isJsonLines = (filename: string) => /\.jsonl(\.gz)?$/i.test(filename);

/** A compressed file is kept expanded, under its name without the ending. */
export const expandedFilename = (filename: string) =>
  isCompressed(filename) ? filename.slice(0, -3) : filename;

/** The purpose may come after the file: checked as soon as both are known. */
export function assertFilename(filename: string, purpose: unknown, param = 'file'): void {
  if (purpose === 'batch' && !isJsonLines(filename)) {
    throw new InvalidInput('Invalid file format for Batch API. Must be .jsonl', {
      code: 'invalid_file_format',
      param,
    });
  }
  if (!filename || filename.length > 255 || filename.includes('\0')) {
    throw new InvalidInput('The file needs a name of 1 to 255 characters.', { param });
  }
}
